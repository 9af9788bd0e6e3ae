// What the figures of chapters 7 and 8 share: a clip is written code by code, and drawn as far as it is written.
import { button, canvas, drawFrame, film, lessMotion, make, oneAtATime, onTheme, panel, row, slider, theme, uniform } from "./live.mjs";
import { pick, sharpen, Writer } from "./writer.mjs";

const GAP = 2; // between the frames of the strip, pixels
const CELL = 16; // side of a code, pixels
const WORK = 20; // milliseconds of writing at a time, so that the page answers

/** A colour for each code; alike means nothing. */
const color = (code) => `hsl(${(code * 137.5) % 360} 60% ${30 + ((code * 29) % 45)}%)`;

/**
 * Builds the figure and writes the first row of codes. `ask()` gives null or what is wanted now, {inputs, copies, weights, given,
 * count}: inputs of the graph `tell`, for how many copies; the weights of their logits, asked for at every code; and the
 * given frames, (channels, count, side, side), which stay as they are. `controls` stand in the panel, `below` under the
 * picture. Returns a function that begins anew.
 */
export async function desk(stage, model, { ask, controls, below }) {
  const { video } = model.card.graphs.encoder.inputs;
  const { codes: box } = model.card.graphs.encoder.outputs;
  const [, channels, total, side] = video.shape;
  const [, moments, rows, columns] = box.shape;
  const each = total / moments; // frames of a moment
  const area = rows * columns;

  const picture = canvas(side, side, "The clip as far as it is written.", "live-pixels live-big");
  const strip = canvas(total * (side + GAP) - GAP, side, `The ${total} frames as far as they are written.`, "live-pixels live-wide");
  const grid = canvas(
    moments * (columns + 1) * CELL - CELL,
    rows * CELL,
    `${moments} grids of ${rows} by ${columns} codes, one for each moment of ${each} frames; a code has a colour, the next one a frame.`,
    "live-wide",
  );
  const bars = canvas(256, 48, "The shares of the codes at this place, the likeliest first; the one that was drawn stands out.", "live-bars");
  const state = make("p", { className: "live-state" });

  let seed = 1;
  let chance; // uniform numbers of this clip
  let wanted; // what is to be asked for next
  let asked; // what the clip was asked for
  let writer;
  let clip; // {values, frames, codes}: what is drawn, of how many codes
  let at = 0; // which frame is shown
  let shares; // at the last place
  const times = []; // milliseconds of the last steps

  const drawCodes = () => {
    const { ink, paper } = theme();
    const pen = grid.getContext("2d");
    pen.clearRect(0, 0, grid.width, grid.height);
    for (let k = 0; k < moments * area; k++) {
      const [moment, place] = [Math.floor(k / area), k % area];
      const x = (moment * (columns + 1) + (place % columns)) * CELL;
      const y = Math.floor(place / columns) * CELL;
      pen.fillStyle = k < writer.codes.length ? color(writer.codes[k]) : `rgba(${ink}, 0.1)`;
      pen.fillRect(x, y, CELL - 1, CELL - 1);
      if (k === writer.codes.length) {
        pen.strokeStyle = `rgb(${ink})`;
        pen.strokeRect(x + 0.5, y + 0.5, CELL - 2, CELL - 2);
      }
    }
    const bar = bars.getContext("2d");
    bar.fillStyle = `rgb(${paper})`;
    bar.fillRect(0, 0, bars.width, bars.height);
    if (!shares) return;
    const order = Array.from(shares.keys()).sort((a, b) => shares[b] - shares[a]);
    const width = bars.width / order.length;
    order.forEach((code, k) => {
      const chosen = code === writer.codes.at(-1);
      bar.fillStyle = chosen ? "#d55e00" : `rgba(${ink}, 0.6)`;
      const height = shares[code] && Math.max(1, (shares[code] / shares[order[0]]) * (bars.height - 6));
      bar.fillRect(k * width, bars.height - height, Math.max(1, width - 1), height);
      if (chosen) bar.fillRect(k * width, 0, Math.max(2, width - 1), 3);
    });
  };
  /** Frame `t` of the clip; patches whose codes are not written yet are left out. */
  const drawOne = (target, t, left) => {
    drawFrame(target, clip.values, channels, clip.frames, t, side, left);
    const pen = target.getContext("2d");
    const first = Math.floor(t / each) * area;
    for (let k = Math.max(first, clip.codes); k < first + area && t >= asked.count; k++) {
      const [y, x] = [Math.floor((k - first) / columns), (k - first) % columns];
      pen.clearRect(left + (x * side) / columns, (y * side) / rows, side / columns, side / rows);
    }
  };
  const drawClip = () => {
    strip.getContext("2d").clearRect(0, 0, strip.width, strip.height);
    for (let t = 0; t < clip.frames; t++) drawOne(strip, t, t * (side + GAP));
    at = Math.min(at, clip.frames - 1);
    drawOne(picture, at, 0);
  };
  /** Codes of a moment that are not written yet are read as those of the moment before, and given frames put back. */
  const decode = async () => {
    const { codes } = writer;
    const filled = Array.from({ length: Math.ceil(codes.length / area) * area }, (_, k) => codes[k] ?? codes[k - area] ?? codes.at(-1));
    const { video: values } = await model.run("decoder", { codes: BigInt64Array.from(filled, BigInt) });
    const frames = values.length / (channels * side * side);
    const kept = Math.min(asked.count, frames) * side * side;
    for (let c = 0; c < channels; c++) {
      values.set(asked.given.subarray(c * asked.count * side * side).subarray(0, kept), c * frames * side * side);
    }
    clip = { values, frames, codes: codes.length };
  };
  const say = () => {
    const { codes, length } = writer;
    const open = shares.filter((share) => share > 0).length;
    const pause = times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)];
    state.textContent =
      `${codes.length} of ${length} codes. The last one was drawn from ${open}, with a share of ` +
      `${(100 * shares[codes.at(-1)]).toFixed(1)} %. A code takes ${pause.toFixed(1)} ms.`;
  };
  const write = async () => {
    const begun = performance.now();
    const logits = await writer.logits(asked.weights());
    shares = sharpen(logits, temperature.value, topP.value);
    writer.codes.push(pick(shares, chance()));
    times.push(performance.now() - begun);
    if (times.length > 64) times.shift();
  };

  let before = 0; // when the last codes were written, milliseconds
  let due = 0; // codes
  // 1: some more codes, 2: a new clip
  const work = oneAtATime(async (wish) => {
    if (wish === 2) {
      asked = wanted;
      chance = uniform(seed);
      writer = new Writer(model, await model.run("tell", asked.inputs), asked.copies);
      [at, due] = [0, columns];
    }
    const begun = performance.now();
    due = Math.min(due, Math.max(columns, pace.value / 10)); // a page that was away does not jump
    let grown = false; // whether the clip is to be drawn anew
    while (due >= 1 && !writer.done && (wish === 2 || performance.now() - begun < WORK)) {
      await write();
      due -= 1;
      grown ||= writer.codes.length % columns === 0;
    }
    if (grown) {
      await decode();
      drawClip();
    }
    if (shares) {
      drawCodes();
      say();
    }
    if (writer.done) writing.run(false);
    Object.assign(stage, { shown: { asked, clip, codes: writer.codes }, times, drawn: (stage.drawn ?? 0) + 1 }); // for tests
  });
  const begin = async (run = true) => {
    const now = ask();
    if (!now) return writing.run(false);
    wanted = now;
    before = performance.now();
    await work(2);
    if (run) writing.run(true);
  };
  const writing = film(
    stage,
    () => {
      const now = performance.now();
      if (writer.done) return begin();
      due += (pace.value * Math.min(100, now - before)) / 1000;
      before = now;
      return work(1);
    },
    { word: "Write", stop: "Stop" },
  );
  const playing = film(
    picture,
    () => {
      at = (at + 1) % clip.frames;
      drawOne(picture, at, 0);
    },
    { pause: 125 },
  );

  const temperature = slider({ label: "Temperature", min: 0, max: 2, step: 0.05, value: 1, format: (t) => t.toFixed(2) });
  const topP = slider({ label: "Top-p", min: 0.05, max: 1, step: 0.05, value: 1, format: (p) => p.toFixed(2) });
  const pace = slider({ label: "Codes a second", min: 10, max: 300, step: 10, value: 60 });
  const again = button("Again", () => begin());
  const other = button("Another", () => {
    seed += 1;
    begin();
  });
  onTheme(drawCodes);

  const buttons = row(writing.element, again, other, playing.element);
  const left = make("div", { className: "live-side" }, picture, buttons, bars, ...below);
  stage.append(panel(left, ...controls, temperature, topP, pace, state), strip, grid);
  await begin(!lessMotion());
  playing.run(!lessMotion());
  return begin;
}
