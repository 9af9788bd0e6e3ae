// Chapter 2: a walk from one latent to another, drawn by the trained DCGAN while the reader moves the slider.
import { button, canvas, choice, drawGrey, make, normal, normals, oneAtATime, panel, row, slider } from "./live.mjs";
import { loadModel } from "./model.mjs";

const SIDE = 32; // of a picture, pixels
const STOPS = 11; // pictures of the strip
const GAP = 2;

const length = (z) => Math.sqrt(z.reduce((sum, x) => sum + x * x, 0));

/** From `start` (t = 0) to `end` (t = 1): along the arc, or straight. */
export function between(start, end, t, bent) {
  let [from, to] = [1 - t, t];
  if (bent) {
    const cosine = start.reduce((sum, x, k) => sum + x * end[k], 0) / (length(start) * length(end));
    const angle = Math.acos(Math.min(1, Math.max(-1, cosine)));
    [from, to] = [Math.sin((1 - t) * angle) / Math.sin(angle), Math.sin(t * angle) / Math.sin(angle)];
  }
  return start.map((x, k) => from * x + to * end[k]);
}

export async function start(stage, { model: name, weights }) {
  const model = await loadModel(name, weights, ["generator"]);
  const [, dim] = model.card.graphs.generator.inputs.latent.shape;
  const draw = normal(7);
  const ends = [normals(draw, dim), normals(draw, dim)];
  const picture = canvas(SIDE, SIDE, "The digit at this place of the walk.", "live-pixels live-big");
  const strip = canvas(STOPS * (SIDE + GAP) - GAP, SIDE, "Eleven digits from the start of the walk to its end.", "live-pixels live-wide");
  const state = make("p", { className: "live-state" });

  const at = (t) => between(ends[0], ends[1], t, way.value === "bent").map((x) => stretch.value * x);
  const generate = async (latents) => {
    const { image } = await model.run("generator", { latent: latents });
    return image;
  };
  const drawPicture = async () => {
    const latent = at(place.value);
    drawGrey(picture, await generate(latent), SIDE, SIDE);
    state.textContent = `The latent has length ${length(latent).toFixed(1)}; a draw of noise has ${Math.sqrt(dim)}, give or take 0.7.`;
    stage.latent = latent; // what is on the canvas; tests look at it
    stage.drawn = (stage.drawn ?? 0) + 1;
  };
  const drawStrip = async () => {
    const stops = Array.from({ length: STOPS }, (_, k) => at(k / (STOPS - 1)));
    const images = await generate(Float32Array.from(stops.flatMap((latent) => [...latent])));
    const pen = strip.getContext("2d");
    pen.clearRect(0, 0, strip.width, strip.height);
    stops.forEach((_, k) => drawGrey(strip, images.subarray(k * SIDE ** 2, (k + 1) * SIDE ** 2), SIDE, SIDE, k * (SIDE + GAP)));
  };

  // 1: the picture; 2: the strip too
  const redraw = oneAtATime(async (wish) => {
    await drawPicture();
    if (wish === 2) await drawStrip();
  });

  const place = slider({ label: "Place on the walk", min: 0, max: 1, step: 0.01, value: 0, change: () => redraw(1) });
  const stretch = slider({
    label: "Stretch the latent",
    min: 0,
    max: 3,
    step: 0.05,
    value: 1,
    format: (times) => `× ${times}`,
    change: () => redraw(2),
  });
  const way = choice({
    label: "Way",
    options: [
      ["bent", "along the arc"],
      ["straight", "straight"],
    ],
    value: "bent",
    change: () => redraw(2),
  });
  const another = (end) => () => {
    ends[end] = normals(draw, dim);
    place.set(end);
    redraw(2);
  };

  stage.append(
    panel(picture, place, stretch, way, row(button("Another start", another(0)), button("Another end", another(1))), state),
    strip,
  );
  await redraw(2);
}
