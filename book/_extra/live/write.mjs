// Chapter 7: a clip is written code by code by the trained VideoGPT; its first frames can be drawn by the reader.
import { choice, DIGITS, DIRECTIONS, make, numbered, slider, SPEEDS } from "./live.mjs";
import { desk } from "./desk.mjs";
import { loadModel } from "./model.mjs";
import { flown, sketch } from "./sketch.mjs";

const LABELS = [10, 8, 2]; // values of digit, direction and speed

export async function start(stage, { model: name, weights }) {
  const model = await loadModel(name, weights, ["tell", "step", "decoder"]);
  const [, , most, side] = model.card.graphs.tell.inputs.frames.shape;
  let begin = () => {}; // before the figure stands
  const anew = () => begin();

  const digit = choice({ label: "Digit", options: numbered(DIGITS), value: 3, change: anew });
  const direction = choice({ label: "Direction", options: numbered(DIRECTIONS), value: 7, change: anew });
  const speed = choice({ label: "Speed", options: numbered(SPEEDS), value: 1, change: anew });
  const guidance = slider({ label: "Guidance", min: 1, max: 4, step: 0.5, value: 2, format: (g) => g.toFixed(1) });
  const given = choice({
    label: "Begins with",
    options: [[0, "what I ask for"], ...Array.from({ length: most }, (_, k) => [k + 1, `${k + 1} of my frames`])],
    value: 0,
    change: anew,
  });

  const pencil = sketch("A digit of yours, which flies in direction and speed as chosen.", () => Number(given.value) && begin());

  /** Two copies: one is asked for labels, or given frames; the other for no label. */
  const ask = () => {
    const count = Number(given.value);
    const labels = new Float32Array(2 * LABELS.reduce((sum, values) => sum + values));
    if (!count) {
      labels[Number(digit.value)] = labels[LABELS[0] + Number(direction.value)] = 1;
      labels[LABELS[0] + LABELS[1] + Number(speed.value)] = 1;
    }
    const first = flown(pencil.drawing, Number(direction.value), Number(speed.value), count, side);
    const frames = new Float32Array(2 * most * side * side);
    for (const copy of [0, 1]) frames.set(first, copy * most * side * side);
    return {
      inputs: { labels, frames, count: new BigInt64Array(2).fill(BigInt(count)) },
      copies: 2,
      weights: () => [guidance.value, 1 - guidance.value], // eq. (videogpt-guidance)
      given: first,
      count,
    };
  };
  const below = [make("span", {}, "Your digit: draw one, then set how the clip begins"), ...pencil.elements];
  begin = await desk(stage, model, { ask, controls: [given, digit, direction, speed, guidance], below });
}
