// Chapter 5: two contents and two motions, in all four pairs, drawn by the trained MoCoGAN.
import { button, canvas, choice, drawGrey, lessMotion, loop, make, normal, normals, row, slider } from "./live.mjs";
import { loadModel } from "./model.mjs";

const SIDE = 32; // of a frame, pixels
const GAP = 2;
const TRAINED = 16; // frames of a clip in training
const LONGEST = 64;
const DIRECTIONS = ["right", "up right", "up", "up left", "left", "down left", "down", "down right"];

export async function start(stage, { model: name, weights }) {
  const model = await loadModel(name, weights);
  const { graphs } = model.card;
  const [, contentDim] = graphs.frames.inputs.content.shape;
  const [, motionDim] = graphs.motion.inputs.start.shape;
  const deviation = graphs.motion.inputs.noise.normal;
  const draw = normal(5);
  const label = (value) => BigInt64Array.of(BigInt(value));
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
    state.textContent = `Frame ${frame.value} of ${count}${count > TRAINED ? `; training clips had ${TRAINED}` : ""}.`;
    Object.assign(stage, { shown: { contents, motions, frame: frame.value }, drawn: (stage.drawn ?? 0) + 1 }); // for tests
  };

  // One run at a time: while the model draws, later wishes wait, and only the last of them is drawn.
  let busy = false;
  let wish = false;
  const redraw = async () => {
    wish = true;
    if (busy) return;
    busy = true;
    while (wish) {
      wish = false;
      await generate();
      drawFrame();
    }
    busy = false;
  };

  const numbered = (words) => words.map((word, k) => [k, word]);
  const choices = (words, options, values) =>
    values.map((value, k) => choice({ label: `${words} ${k + 1}`, options: numbered(options), value, change: redraw }));
  const digits = choices("Digit of row", [..."0123456789"], [3, 7]);
  const directions = choices("Direction of column", DIRECTIONS, [0, 6]);
  const speeds = choices("Speed of column", ["slow", "fast"], [1, 0]);
  const length = slider({ label: "Frames", min: 8, max: LONGEST, step: 8, value: TRAINED, change: redraw });
  const frame = slider({ label: "Moment", min: 0, max: TRAINED - 1, step: 1, value: 0, change: drawFrame });
  const another = (list, fresh) => () => {
    list.forEach((_, k) => (list[k] = fresh()));
    redraw();
  };

  let before = 0;
  const film = loop(picture, () => {
    const now = performance.now();
    if (now - before < 125) return; // eight frames a second
    before = now;
    frame.set((frame.value + 1) % count);
    drawFrame();
  });
  const play = (on) => {
    film.run(on);
    run.textContent = on ? "Pause" : "Play";
  };
  const run = button("Play", () => play(!film.running));

  stage.append(
    make(
      "div",
      { className: "live-split" },
      picture,
      make(
        "div",
        { className: "live-panel" },
        row(run, button("Other hands", another(contents, newContent)), button("Other flights", another(motions, newMotion))),
        ...[digits, directions, speeds].flat().map(({ element }) => element),
        length.element,
        frame.element,
        state,
      ),
    ),
  );
  await redraw();
  play(!lessMotion());
}
