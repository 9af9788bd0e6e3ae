// Chapter 6: one start and six Brownian paths make six clips, drawn by the trained MoCoGAN-SDE.
import {
  button, canvas, choice, DIGITS, DIRECTIONS, drawGrey, film, label, lessMotion, make, normal, normals, numbered,
  oneAtATime, onTheme, panel, row, slider, SPEEDS, theme,
} from "./live.mjs";
import { loadModel } from "./model.mjs";

const SIDE = 32; // of a frame, pixels
const GAP = 2;
const FUTURES = 6;
const FRAMES = 16;
const [LOW, HIGH] = [6, 26]; // what the square with the tracks shows: the centre of a digit comes no nearer to a wall
const SQUARE = 192; // its side

/** The centre of the ink of a frame, [x, y] in pixels, from its left and upper edge. */
function centre(pixels) {
  let [sum, x, y] = [0, 0, 0];
  pixels.forEach((value, k) => {
    const ink = (value + 1) / 2;
    sum += ink;
    x += ink * ((k % SIDE) + 0.5);
    y += ink * (Math.floor(k / SIDE) + 0.5);
  });
  return [x / sum, y / sum];
}

/** Root mean square way of points from their common centre. */
function spread(points) {
  const mean = [0, 1].map((axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length);
  const squares = points.map(([x, y]) => (x - mean[0]) ** 2 + (y - mean[1]) ** 2);
  return Math.sqrt(squares.reduce((sum, square) => sum + square, 0) / points.length);
}

export async function start(stage, { model: name, weights }) {
  const model = await loadModel(name, weights);
  const { graphs } = model.card;
  const [, contentDim] = graphs.frames.inputs.content.shape;
  const [, startDim] = graphs.start.inputs.noise.shape;
  const [, steps, stateDim] = graphs.frame.inputs.noise.shape; // noise of the solver's steps from a frame to the next
  const draw = normal(11);
  const newPaths = () => Array.from({ length: FRAMES - 1 }, () => normals(draw, FUTURES * steps * stateDim));
  const drawn = { content: normals(draw, contentDim), start: normals(draw, startDim), noise: newPaths() };

  const square = canvas(SQUARE, SQUARE, "The tracks of six futures of one start.", "live-big");
  const strip = canvas(FUTURES * (SIDE + GAP) - GAP, SIDE, "Six clips that begin with the same frame.", "live-pixels live-wide");
  const state = make("p", { className: "live-state" });
  let clips = []; // of each future, all frames one after the other
  let tracks = []; // of each future, the centre of its ink in each frame
  const frameOf = (clip, k) => clip.subarray(k * SIDE ** 2, (k + 1) * SIDE ** 2);

  const walk = async () => {
    const labels = { direction: label(direction.value), speed: label(speed.value) };
    const first = (await model.run("start", { noise: drawn.start, ...labels })).state;
    const paths = Array.from({ length: FUTURES }, () => [...first]);
    let states = Float32Array.from(paths.flat());
    for (const noise of drawn.noise) {
      states = (await model.run("frame", { state: states, noise: noise.map((x) => strength.value * x) })).next;
      paths.forEach((path, k) => path.push(...states.subarray(k * stateDim, (k + 1) * stateDim)));
    }
    const made = [];
    for (const path of paths) {
      const inputs = { content: drawn.content, motion: Float32Array.from(path), digit: label(digit.value) };
      made.push((await model.run("frames", inputs)).video);
    }
    clips = made;
    tracks = clips.map((clip) => Array.from({ length: FRAMES }, (_, k) => centre(frameOf(clip, k))));
  };
  const drawTracks = () => {
    const pen = square.getContext("2d");
    const { ink, paper } = theme();
    const place = (point) => point.map((x) => (SQUARE * (x - LOW)) / (HIGH - LOW));
    pen.fillStyle = `rgb(${paper})`;
    pen.fillRect(0, 0, square.width, square.height);
    pen.strokeStyle = pen.fillStyle = `rgb(${ink})`;
    pen.strokeRect(0.5, 0.5, square.width - 1, square.height - 1);
    for (const track of tracks) {
      pen.beginPath();
      track.forEach((point) => pen.lineTo(...place(point)));
      pen.stroke();
      pen.beginPath();
      pen.arc(...place(track[frame.value]), 4, 0, 2 * Math.PI);
      pen.fill();
    }
  };
  const drawAll = () => {
    clips.forEach((clip, k) => drawGrey(strip, frameOf(clip, frame.value), SIDE, SIDE, k * (SIDE + GAP)));
    drawTracks();
    const apart = spread(tracks.map((track) => track[frame.value]));
    state.textContent = `Frame ${frame.value}: the futures are ${apart.toFixed(1)} pixels apart.`;
    Object.assign(stage, { shown: { ...drawn, frame: frame.value, apart }, drawn: (stage.drawn ?? 0) + 1 }); // tests look at it
  };

  const walkAndDraw = oneAtATime(async () => {
    await walk();
    drawAll();
  });
  const redraw = () => walkAndDraw(1);
  const frame = slider({ label: "Moment", min: 0, max: FRAMES - 1, step: 1, value: 0, change: drawAll });
  const strength = slider({
    label: "Noise",
    min: 0,
    max: 2,
    step: 0.25,
    value: 1,
    format: (times) => `× ${times}`,
    change: redraw,
  });
  const digit = choice({ label: "Digit", options: numbered(DIGITS), value: 3, change: redraw });
  const direction = choice({ label: "Direction in frame 0", options: numbered(DIRECTIONS), value: 0, change: redraw });
  const speed = choice({ label: "Speed", options: numbered(SPEEDS), value: 1, change: redraw });
  const another = (fresh) => () => {
    Object.assign(drawn, fresh());
    redraw();
  };
  const others = [
    button("Other futures", another(() => ({ noise: newPaths() }))),
    button("Another start", another(() => ({ start: normals(draw, startDim) }))),
  ];
  const next = () => {
    frame.set((frame.value + 1) % FRAMES);
    drawAll();
  };
  const moving = film(strip, next, { pause: 125 }); // eight frames a second

  stage.append(panel(square, row(moving.element, ...others), frame, strength, digit, direction, speed, state), strip);
  await redraw();
  onTheme(drawTracks);
  moving.run(!lessMotion());
}
