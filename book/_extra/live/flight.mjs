// Chapter 6: the flight of a digit at any moment, before the first frame and between frames too. The trained slope is
// followed here, by the classical Runge-Kutta steps of vidgen_lab/nn/dynamics.py; the model draws what is met.
import {
  button, canvas, choice, DIGITS, DIRECTIONS, drawGrey, film, label, lessMotion, make, normal, normals, numbered,
  oneAtATime, panel, row, slider, SPEEDS,
} from "./live.mjs";
import { loadModel } from "./model.mjs";

const SIDE = 32; // of a frame, pixels
const FIRST = -16; // frames that can be asked for
const LAST = 32;
const EVERY = 4; // frames from one picture of the strip to the next
const GAP = 2;

export async function start(stage, { model: name, weights }) {
  const model = await loadModel(name, weights);
  const { graphs } = model.card;
  const [, contentDim] = graphs.frames.inputs.content.shape;
  const [, stateDim] = graphs.slope.inputs.state.shape;
  const draw = normal(3);
  const drawn = { content: normals(draw, contentDim), noise: normals(draw, stateDim) };

  const slope = async (state) => (await model.run("slope", { state })).slope;
  const moved = (state, by, length) => state.map((x, k) => x + length * by[k]);
  const runge = async (state, length) => {
    const k1 = await slope(state);
    const k2 = await slope(moved(state, k1, length / 2));
    const k3 = await slope(moved(state, k2, length / 2));
    const k4 = await slope(moved(state, k3, length));
    return state.map((x, k) => x + (length / 6) * (k1[k] + 2 * k2[k] + 2 * k3[k] + k4[k]));
  };
  let path; // states at whole frames, by their number
  const walk = async () => {
    const labels = { direction: label(direction.value), speed: label(speed.value) };
    const { state } = await model.run("start", { noise: drawn.noise, ...labels });
    path = new Map([[0, state]]);
    for (let k = 0; k < LAST; k++) path.set(k + 1, await runge(path.get(k), 1));
    for (let k = 0; k > FIRST; k--) path.set(k - 1, await runge(path.get(k), -1));
  };
  const stateAt = async (time) => {
    const whole = Math.trunc(time);
    return time === whole ? path.get(whole) : runge(path.get(whole), time - whole);
  };
  const frames = async (states) => {
    const motion = Float32Array.from(states.flatMap((state) => [...state]));
    return (await model.run("frames", { content: drawn.content, motion, digit: label(digit.value) })).video;
  };

  const picture = canvas(SIDE, SIDE, "The frame at this time.", "live-pixels live-big");
  const times = Array.from({ length: (LAST - FIRST) / EVERY + 1 }, (_, k) => FIRST + EVERY * k);
  const strip = canvas(times.length * (SIDE + GAP) - GAP, SIDE, "Every fourth frame, from 16 before the first.", "live-pixels live-wide");
  const state = make("p", { className: "live-state" });
  const drawPicture = async () => {
    const now = time.value;
    drawGrey(picture, await frames([await stateAt(now)]), SIDE, SIDE);
    const where = now < 0 ? "before the first frame" : now > 15 ? "after the last frame of a training clip" : "as in training";
    state.textContent = `Time ${now.toFixed(2)} frames: ${where}.`;
    Object.assign(stage, { shown: { ...drawn, time: now }, drawn: (stage.drawn ?? 0) + 1 }); // tests look at it
  };
  const drawStrip = async () => {
    const images = await frames(times.map((t) => path.get(t)));
    times.forEach((_, k) => drawGrey(strip, images.subarray(k * SIDE ** 2, (k + 1) * SIDE ** 2), SIDE, SIDE, k * (SIDE + GAP)));
  };

  // 1: the picture; 2: the strip too; 3: another flight
  const redraw = oneAtATime(async (wish) => {
    if (wish === 3) await walk();
    await drawPicture();
    if (wish >= 2) await drawStrip();
  });

  const time = slider({
    label: "Time, in frames",
    min: FIRST,
    max: LAST,
    step: 0.125,
    value: 0,
    format: (t) => t.toFixed(2),
    change: (now) => {
      clock = now;
      redraw(1);
    },
  });
  const pace = slider({ label: "Frames a second", min: 1, max: 16, step: 1, value: 8 });
  const digit = choice({ label: "Digit", options: numbered(DIGITS), value: 3, change: () => redraw(2) });
  const direction = choice({ label: "Direction in frame 0", options: numbered(DIRECTIONS), value: 7, change: () => redraw(3) });
  const speed = choice({ label: "Speed", options: numbered(SPEEDS), value: 1, change: () => redraw(3) });
  const another = (what, wanted) => () => {
    drawn[what] = normals(draw, drawn[what].length);
    redraw(wanted);
  };

  let clock = 0; // of the film, in frames
  let before = 0; // when its last picture was drawn, milliseconds
  const moving = film(picture, () => {
    const now = performance.now();
    clock += (pace.value * Math.min(100, now - before)) / 1000; // a page that was away does not jump
    before = now;
    if (clock > LAST) clock = FIRST;
    time.set(clock);
    redraw(1);
  });

  const others = [button("Another hand", another("content", 2)), button("Another flight", another("noise", 3))];
  stage.append(panel(picture, row(moving.element, ...others), time, pace, digit, direction, speed, state), strip);
  await redraw(3);
  moving.run(!lessMotion());
}
