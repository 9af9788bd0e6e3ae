// Chapter 4: a clip of the trained VGAN beside the three things that it is put together from, with a hand on the mask.
import {
  canvas, choice, DIGITS, DIRECTIONS, drawGrey, film, label, lessMotion, make, normal, normals, numbered, oneAtATime,
  panel, row, slider, SPEEDS,
} from "./live.mjs";
import { loadModel } from "./model.mjs";

const END = 10; // of the push: there the mask is shut, or open, everywhere
const LATENTS = 24;

/** A mask in (0, 1) whose logit is pushed by so much. */
function pushed(mask, by) {
  if (Math.abs(by) >= END) return mask.map(() => (by > 0 ? 1 : 0));
  const odds = Math.exp(by);
  return mask.map((m) => (m * odds) / (m * odds + 1 - m));
}

/** Foreground where the mask is open and background elsewhere: a clip, frame after frame. */
export function composite(mask, foreground, background) {
  return mask.map((m, k) => m * foreground[k] + (1 - m) * background[k % background.length]);
}

export async function start(stage, { model: name, weights }) {
  const model = await loadModel(name, weights);
  const { inputs, outputs } = model.card.graphs.generator;
  const [, , frames, side] = outputs.video.shape;
  const latents = Array.from({ length: LATENTS }, (_, k) => normals(normal(k + 1), inputs.latent.shape[1]));

  const view = (words, described) => {
    const picture = canvas(side, side, described, "live-pixels live-part");
    return { picture, element: make("div", { className: "live-view" }, picture, make("span", {}, words)) };
  };
  const views = {
    clip: view("clip", "The clip, put together."),
    mask: view("mask", "The mask: white where the foreground shows."),
    foreground: view("foreground", "The foreground, a clip."),
    background: view("background", "The background, one picture."),
  };
  const state = make("p", { className: "live-state" });

  let parts; // what the model drew
  const drawFrame = () => {
    const cut = (clip) => clip.subarray(moment.value * side * side, (moment.value + 1) * side * side);
    const mask = pushed(parts.mask, push.value);
    const clip = composite(mask, parts.foreground, parts.background);
    drawGrey(views.clip.picture, cut(clip), side, side);
    drawGrey(views.mask.picture, cut(mask).map((m) => 2 * m - 1), side, side);
    drawGrey(views.foreground.picture, cut(parts.foreground), side, side);
    drawGrey(views.background.picture, parts.background, side, side);
    const mean = mask.reduce((sum, m) => sum + m, 0) / mask.length;
    state.textContent = `Frame ${moment.value}; the last is ${frames - 1}. The mask is open at ${(100 * mean).toFixed(0)} % of the clip.`;
    const shown = { latent: latents[which.value - 1], push: push.value, moment: moment.value };
    Object.assign(stage, { shown, drawn: (stage.drawn ?? 0) + 1 }); // tests look at it
  };
  const generate = oneAtATime(async () => {
    const labels = { digit: label(digit.value), direction: label(direction.value), speed: label(speed.value) };
    parts = await model.run("generator", { latent: latents[which.value - 1], ...labels });
    drawFrame();
  });
  const redraw = () => generate(1);

  const push = slider({
    label: "Push the mask",
    min: -END,
    max: END,
    step: 0.5,
    value: 0,
    format: (by) => (by === -END ? "shut" : by === END ? "open" : by ? `logit ${by > 0 ? "+" : "−"} ${Math.abs(by)}` : "as drawn"),
    change: drawFrame,
  });
  const which = slider({ label: "Latent", min: 1, max: LATENTS, step: 1, value: 1, change: redraw });
  const digit = choice({ label: "Digit", options: numbered(DIGITS), value: 4, change: redraw });
  const direction = choice({ label: "Direction", options: numbered(DIRECTIONS), value: 0, change: redraw });
  const speed = choice({ label: "Speed", options: numbered(SPEEDS), value: 1, change: redraw });
  const moment = slider({ label: "Moment", min: 0, max: frames - 1, step: 1, value: 0, change: drawFrame });
  const moving = film(
    views.clip.picture,
    () => {
      moment.set((moment.value + 1) % frames);
      drawFrame();
    },
    { pause: 125 }, // eight frames a second
  );

  const pictures = make("div", { className: "live-views" }, ...Object.values(views).map(({ element }) => element));
  stage.append(panel(pictures, row(moving.element), push, which, digit, direction, speed, moment, state));
  await redraw();
  moving.run(!lessMotion());
}
