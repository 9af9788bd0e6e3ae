// Chapter 2: the reader paints over a part of a digit, and a search for the noise that draws the rest fills it in. A step
// of the search, gradient and all, is one graph; vidgen_lab/models/inpainting.py is the same in torch.
import {
  button, canvas, choice, drawGrey, film, lessMotion, make, normal, normals, oneAtATime, panel, row,
} from "./live.mjs";
import { loadModel } from "./model.mjs";
import { coverage, pad } from "./pad.mjs";

const STARTS = 4; // searches at once; the best is shown
const STEPS = 150;
const RADIUS = 2.5; // of the pen, pixels
const DIGITS = new URL("../_static/dcgan/held-out.png", import.meta.url); // side by side

/** Pictures that lie side by side in one image file, grey, in [-1, 1]. */
async function loadPictures(address, side) {
  const image = make("img", { src: address.href });
  await image.decode();
  const sheet = make("canvas", { width: image.naturalWidth, height: side });
  const pen = sheet.getContext("2d", { willReadFrequently: true });
  pen.drawImage(image, 0, 0);
  return Array.from({ length: sheet.width / side }, (_, k) => {
    const { data } = pen.getImageData(k * side, 0, side, side);
    return Float32Array.from({ length: side * side }, (_, i) => data[4 * i] / 127.5 - 1);
  });
}

const HOLES = {
  yours: () => false,
  centre: (x, y, side) => x >= side / 4 && x < (3 * side) / 4 && y >= side / 4 && y < (3 * side) / 4,
  half: (x, y, side) => x >= side / 2,
  lines: (x, y, side) => Math.floor(y / (side / 8)) % 2 === 1,
};

export async function start(stage, { model: name, weights }) {
  const model = await loadModel(name, weights, ["search"]);
  const { latent: port, images: seen } = model.card.graphs.search.inputs;
  const [dim, side] = [port.shape[1], seen.shape[2]];
  const area = side * side;
  const pictures = await loadPictures(DIGITS, side);
  const draw = normal(11);
  const four = (values) => Float32Array.from({ length: STARTS * area }, (_, k) => values[k % area]);

  const known = new Float32Array(area); // 1 where the pixel is known
  let search; // {latent, mean, square}, what the next step takes
  let steps = 0;
  let best; // {generated, loss, latent} of the best search at the last step
  const anew = () => {
    const zeros = () => new Float32Array(STARTS * dim);
    const starts = Array.from({ length: STARTS }, () => {
      const z = normals(draw, dim);
      const length = Math.hypot(...z);
      return z.map((x) => (x * Math.sqrt(dim)) / length); // on the shell where noise lives
    });
    search = { latent: Float32Array.from(starts.flatMap((z) => [...z])), mean: zeros(), square: zeros() };
    steps = 0;
  };
  const step = async () => {
    const target = pictures[which.value].map((x, k) => (known[k] ? x : 0));
    const count = new Float32Array(STARTS).fill(steps + 1);
    const found = await model.run("search", { ...search, count, images: four(target), known: four(known) });
    const winner = found.loss.indexOf(Math.min(...found.loss));
    best = {
      generated: found.generated.slice(winner * area, (winner + 1) * area),
      latent: search.latent.slice(winner * dim, (winner + 1) * dim),
      loss: found.loss[winner],
    };
    search = { latent: found.next_latent, mean: found.next_mean, square: found.next_square };
    steps += 1;
  };

  const view = (words, picture) => make("div", { className: "live-view" }, picture, make("span", {}, words));
  const filled = canvas(side, side, "The picture with its hole filled in.", "live-pixels live-part");
  const whole = canvas(side, side, "The whole picture that the generator draws.", "live-pixels live-part");
  const truth = canvas(side, side, "The digit without a hole.", "live-pixels live-part");
  const paper = pad({
    side,
    words: "Paint over a part of the digit.",
    line(from, to) {
      for (let k = 0; k < area; k++) {
        if (coverage((k % side) + 0.5, Math.floor(k / side) + 0.5, from, to, RADIUS) > 0.5) known[k] = 0;
      }
      hole.set("yours");
      begin();
    },
    show: () => drawGrey(paper.element, pictures[which.value].map((x, k) => (known[k] ? x : 0)), side, side),
  });
  paper.element.classList.add("live-part");
  const state = make("p", { className: "live-state" });
  const show = () => {
    const digit = pictures[which.value];
    drawGrey(filled, digit.map((x, k) => (known[k] ? x : best.generated[k])), side, side);
    drawGrey(whole, best.generated, side, side);
    drawGrey(truth, digit, side, side);
    const missing = known.reduce((sum, k) => sum + 1 - k, 0) / area;
    state.textContent =
      `Step ${steps} of ${STEPS}: loss ${best.loss.toFixed(1)} in the best of ${STARTS} searches. ` +
      (missing ? `${(100 * missing).toFixed(0)} % of the picture is missing.` : "Nothing is missing: paint over a part of the digit.");
    const shown = { digit, known, latent: best.latent, loss: best.loss, steps };
    Object.assign(stage, { shown, drawn: (stage.drawn ?? 0) + 1 }); // tests look at it
  };
  // 1: one step further; 2: from the start
  const work = oneAtATime(async (wish) => {
    if (wish === 2) anew();
    if (steps < STEPS) {
      await step();
      show();
    }
    if (steps === STEPS) searching.run(false);
  });
  const begin = async () => {
    await work(2);
    searching.run(!lessMotion());
  };
  const further = () => work(steps < STEPS ? 1 : 2); // after the last step, from other noise
  const searching = film(filled, further, { word: "Search", pause: 40 });

  const cut = () => {
    for (let k = 0; k < area; k++) known[k] = HOLES[hole.value](k % side, Math.floor(k / side), side) ? 0 : 1;
    paper.redraw();
    begin();
  };
  const which = choice({ label: "Digit", options: pictures.map((_, k) => [k, `number ${k + 1}`]), value: 1, change: cut });
  const hole = choice({
    label: "Hole",
    options: [
      ["yours", "painted by you"],
      ["centre", "centre"],
      ["half", "right half"],
      ["lines", "bands"],
    ],
    value: "half",
    change: cut,
  });
  const once = button("One step", () => {
    searching.run(false);
    further();
  });
  const mend = () => {
    hole.set("yours");
    cut();
  };

  const views = [view("paint here", paper.element), view("filled in", filled), view("drawn whole", whole), view("the digit", truth)];
  const buttons = row(searching.element, once, button("From other noise", begin), button("Mend the hole", mend));
  stage.append(panel(make("div", { className: "live-views" }, ...views), buttons, hole, which, state));
  known.forEach((_, k) => (known[k] = HOLES.half(k % side, 0, side) ? 0 : 1));
  paper.redraw();
  await begin();
}
