// Chapter 5: two contents and two motions, in all four pairs, drawn by the trained MoCoGAN.
import {
  button, canvas, choice, DIGITS, DIRECTIONS, drawGrey, film, label, lessMotion, make, normal, normals, numbered,
  oneAtATime, panel, row, slider, SPEEDS,
} from "./live.mjs";
import { loadModel } from "./model.mjs";

const SIDE = 32; // of a frame, pixels
const GAP = 2;
const TRAINED = 16; // frames of a clip in training
const LONGEST = 64;

export async function start(stage, { model: name, weights }) {
  const model = await loadModel(name, weights);
  const { graphs } = model.card;
  const [, contentDim] = graphs.frames.inputs.content.shape;
  const [, motionDim] = graphs.motion.inputs.start.shape;
  const deviation = graphs.motion.inputs.noise.normal;
  const draw = normal(5);
  const newContent = () => normals(draw, contentDim);
  const newMotion = () => ({
    start: normals(draw, motionDim),
    noise: normals(draw, LONGEST * motionDim).map((x) => deviation * x),
  });
  const contents = [newContent(), newContent()];
  const motions = [newMotion(), newMotion()];

  const picture = canvas(2 * SIDE + GAP, 2 * SIDE + GAP, "Four clips: a row shares its content, a column its motion.", "live-pixels live-big");
  const state = make("p", { className: "live-state" });
  let clips = []; // [content][motion], all frames one after the other
  let count = TRAINED; // frames of these clips
  const generate = async () => {
    const frames = length.value;
    const paths = [];
    for (const [k, { start: begin, noise }] of motions.entries()) {
      const labels = { direction: label(directions[k].value), speed: label(speeds[k].value) };
      const some = noise.slice(0, frames * motionDim);
      paths.push((await model.run("motion", { start: begin, noise: some, ...labels })).motion);
    }
    const made = [];
    for (const [k, content] of contents.entries()) {
      made.push([]);
      for (const motion of paths) {
        made[k].push((await model.run("frames", { content, motion, digit: label(digits[k].value) })).video);
      }
    }
    [clips, count] = [made, frames];
    frame.element.querySelector("input").max = count - 1;
    frame.set(Math.min(frame.value, count - 1));
  };
  const drawFrame = () => {
    const at = frame.value * SIDE ** 2;
    clips.forEach((clip, k) =>
      clip.forEach((frames, j) =>
        drawGrey(picture, frames.subarray(at, at + SIDE ** 2), SIDE, SIDE, j * (SIDE + GAP), k * (SIDE + GAP)),
      ),
    );
    state.textContent = `Frame ${frame.value}; the last is ${count - 1}${count > TRAINED ? `, and in training clips it was ${TRAINED - 1}` : ""}.`;
    Object.assign(stage, { shown: { contents, motions, frame: frame.value }, drawn: (stage.drawn ?? 0) + 1 }); // for tests
  };

  const generateAndDraw = oneAtATime(async () => {
    await generate();
    drawFrame();
  });
  const redraw = () => generateAndDraw(1);

  const choices = (words, options, values) =>
    values.map((value, k) => choice({ label: `${words} ${k + 1}`, options: numbered(options), value, change: redraw }));
  const digits = choices("Digit of row", DIGITS, [3, 7]);
  const directions = choices("Direction of column", DIRECTIONS, [0, 6]);
  const speeds = choices("Speed of column", SPEEDS, [1, 0]);
  const length = slider({ label: "Frames", min: 8, max: LONGEST, step: 8, value: TRAINED, change: redraw });
  const frame = slider({ label: "Moment", min: 0, max: TRAINED - 1, step: 1, value: 0, change: drawFrame });
  const another = (list, fresh) => () => {
    list.forEach((_, k) => (list[k] = fresh()));
    redraw();
  };

  const moving = film(
    picture,
    () => {
      frame.set((frame.value + 1) % count);
      drawFrame();
    },
    { pause: 125 }, // eight frames a second
  );

  const others = [button("Other hands", another(contents, newContent)), button("Other flights", another(motions, newMotion))];
  const chosen = [digits, directions, speeds].flat();
  stage.append(panel(picture, row(moving.element, ...others), ...chosen, length, frame, state));
  await redraw();
  moving.run(!lessMotion());
}
