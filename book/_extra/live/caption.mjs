// Chapter 8: a clip from a sentence, a first frame, both or neither, written code by code by the trained fusion model.
import { choice, make, slider } from "./live.mjs";
import { desk } from "./desk.mjs";
import { loadModel } from "./model.mjs";
import { flown, sketch } from "./sketch.mjs";

const COLORS = { red: [1, 0, 0], green: [0, 1, 0], blue: [0, 0, 1], yellow: [1, 1, 0], magenta: [1, 0, 1], cyan: [0, 1, 1] };
const NUMBERS = [..."0123456789", "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];

/** A caption's words as numbers from 1, then 0, `longest` of them; an Error says what is wrong, as `tokenize` does. */
export function read(caption, { vocabulary, longest, digits }) {
  const words = caption.toLowerCase().replaceAll(",", " ").replaceAll(".", " ").split(/\s+/).filter(Boolean);
  const all = `It has: ${vocabulary.join(" ")}.`;
  if (!words.length) throw new Error(`The caption has no word. The vocabulary: ${vocabulary.join(" ")}.`);
  if (words.length > longest) throw new Error(`The caption has ${words.length} words; give ${longest} at most.`);
  const unknown = [...new Set(words.filter((word) => !vocabulary.includes(word)))].map((word) => `“${word}”`);
  if (unknown.length) throw new Error(`No ${unknown.join(" and no ")} in the vocabulary. ${all}`);
  const count = words.filter((word) => NUMBERS.includes(word)).length;
  if (count > digits) throw new Error(`The caption asks for ${count} digits; this model moves ${digits}.`);
  return Array.from({ length: longest }, (_, k) => vocabulary.indexOf(words[k]) + 1);
}

/** The copies that are asked, [caption, frames] each, and their weights, for guidance g of the caption and f of frames. */
function mix(caption, frames) {
  if (caption && frames) return [[[1, 1], [0, 1], [0, 0]], (g, f) => [g, f - g, 1 - f]]; // eq. (fusion-guidance)
  if (caption || frames) return [[[caption, frames], [0, 0]], (g, f) => (caption ? [g, 1 - g] : [f, 1 - f])];
  return [[[0, 0]], () => [1]];
}

export async function start(stage, { model: name, weights }) {
  const model = await loadModel(name, weights, ["tell", "step", "decoder"]);
  const [, channels, most, side] = model.card.graphs.tell.inputs.frames.shape;
  let begin = () => {}; // before the figure stands
  const anew = () => begin();

  const text = make("input", { type: "text", value: "a red 3 moves up-right, fast", maxLength: 80, spellcheck: false });
  text.addEventListener("change", anew);
  const caption = make("label", { className: "live-control live-text" }, make("span", {}, "Caption"), text);
  const wrong = make("p", { className: "live-state", role: "alert" });
  const told = choice({ label: "It is", options: [[1, "told"], [0, "hidden"]], value: 1, change: anew });
  let before; // a copy of the clip that stood here when it was chosen
  const from = choice({
    label: "First frames",
    options: [["none", "none"], ["mine", "my drawing"], ["one", "the first of this clip"], ["more", `the first ${most} of this clip`]],
    value: "none",
    change: () => {
      before = stage.shown.clip;
      begin();
    },
  });
  const color = choice({ label: "Its colour", options: Object.keys(COLORS).map((word) => [word, word]), value: "green", change: anew });
  const strength = (label, value) => slider({ label, min: 0, max: 8, step: 0.5, value, format: (g) => g.toFixed(1) });
  const guidance = strength("Caption guidance", 2);
  const framesGuidance = strength("Frames guidance", 1);

  const pencil = sketch("A digit of yours, for the first frame.", () => from.value === "mine" && begin());

  /** The given frames, (channels, count, side, side), and their count. */
  const first = () => {
    const count = { none: 0, mine: 1, one: 1, more: most }[from.value];
    const area = side * side;
    const given = new Float32Array(channels * count * area);
    for (let c = 0; c < channels && count; c++) {
      if (from.value !== "mine") given.set(before.values.subarray(c * before.frames * area).subarray(0, count * area), c * count * area);
      else given.set(COLORS[color.value][c] ? flown(pencil.drawing, 0, 0, 1, side) : new Float32Array(area).fill(-1), c * area);
    }
    return { given, count };
  };
  const ask = () => {
    wrong.textContent = "";
    let words = new Array(model.card.config.longest).fill(1);
    try {
      if (Number(told.value)) words = read(text.value, model.card.config);
    } catch (error) {
      wrong.textContent = error.message;
      return null;
    }
    const { given, count } = first();
    const [copies, weigh] = mix(Number(told.value), Number(count > 0));
    const frames = new Float32Array(copies.length * channels * most * side * side);
    const clip = channels * most * side * side;
    copies.forEach((_, copy) => {
      for (let c = 0; c < channels; c++) {
        const own = given.subarray(c * count * side * side, (c + 1) * count * side * side);
        frames.set(own, copy * clip + c * most * side * side);
      }
    });
    return {
      inputs: {
        ids: BigInt64Array.from(copies.flatMap(() => words), BigInt),
        caption: BigInt64Array.from(copies, ([words]) => BigInt(words)),
        frames,
        given: BigInt64Array.from(copies.flatMap(([, frames]) => Array.from({ length: most }, (_, k) => BigInt(frames && k < count)))),
      },
      copies: copies.length,
      weights: () => weigh(guidance.value, framesGuidance.value),
      given,
      count,
    };
  };
  const below = [make("span", {}, "Your first frame: draw it, then choose “my drawing”"), ...pencil.elements, color.element];
  begin = await desk(stage, model, { ask, controls: [caption, wrong, told, from, guidance, framesGuidance], below });
}
