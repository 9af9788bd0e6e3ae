// Chapter 3: a drawing, the codes that the trained VQ-VAE writes for it, and the picture that they draw; the reader may
// put other codes.
import { button, canvas, choice, drawGrey, make, oneAtATime, panel, row, slider } from "./live.mjs";
import { loadModel } from "./model.mjs";
import { drawLine, pad } from "./pad.mjs";

const RADIUS = 1; // of the pen, pixels
const FIRST = [[11, 9], [15, 7.5], [19, 9], [19.5, 12], [15, 15], [19.5, 18], [19.5, 22], [15, 24.5], [10.5, 22]]; // a 3
const AT_ONCE = 8; // tiles of the palette decoded in one go
const ACROSS = 32; // tiles in a row of it
const GAP = 1;
const TILE = [1, 1]; // the place of the grid whose patch a tile shows

export async function start(stage, { model: name, weights }) {
  const model = await loadModel(name, weights);
  const [, , side] = model.card.graphs.encoder.inputs.image.shape;
  const { shape, range } = model.card.graphs.decoder.inputs.codes;
  const [grid, count] = [shape[1], range[1] + 1];
  const patch = side / grid;

  const drawing = new Float32Array(side * side).fill(-1);
  for (const [k, to] of FIRST.slice(1).entries()) drawLine(drawing, side, FIRST[k], to, RADIUS);
  let written = []; // the codes of the drawing
  let codes = []; // those shown
  let image; // what they draw
  const decode = async (some) => (await model.run("decoder", { codes: BigInt64Array.from(some, BigInt) })).image;
  const encode = async (picture) => Array.from((await model.run("encoder", { image: picture })).codes, Number);

  const paper = pad({
    side,
    words: "Draw a digit here.",
    line(from, to) {
      drawLine(drawing, side, from, to, RADIUS);
      redraw(3);
    },
    show: () => drawGrey(paper.element, drawing, side, side),
  });
  const picture = canvas(side, side, "What the codes draw.", "live-pixels live-pad");
  const size = patch + GAP; // of a tile
  const palette = canvas(ACROSS * size - GAP, (count / ACROSS) * size - GAP, "All codes, each as it draws the same place of an empty picture.", "live-pixels live-wide");
  const state = make("p", { className: "live-state" });

  const press = (place) => () => {
    if (click.value === "take") return hold(codes[place]);
    codes[place] = hand.value;
    redraw(2);
  };
  const cells = Array.from({ length: grid * grid }, (_, place) => button("", press(place)));
  const show = () => {
    drawGrey(picture, image, side, side);
    cells.forEach((cell, place) => {
      cell.textContent = codes[place];
      cell.setAttribute("aria-label", `Row ${Math.floor(place / grid) + 1}, column ${(place % grid) + 1}: code ${codes[place]}`);
      cell.classList.toggle("live-other", codes[place] !== written[place]);
    });
    const others = codes.filter((code, place) => code !== written[place]).length;
    const put = others ? `${others} of them put by you` : "all written by the encoder";
    state.textContent = `${codes.length} codes of ${count}, so ${codes.length * Math.log2(count)} bits; ${put}.`;
    Object.assign(stage, { shown: { drawing, codes }, drawn: (stage.drawn ?? 0) + 1 }); // tests look at it
  };

  // The palette: each code in turn at one place of an empty picture, a few at a time while nothing else is asked for.
  let empty;
  let tiles = 0;
  const drawTiles = async () => {
    empty ??= await encode(new Float32Array(side * side).fill(-1));
    const place = TILE[0] * grid + TILE[1];
    const some = Array.from({ length: AT_ONCE }, (_, k) => empty.map((code, other) => (other === place ? tiles + k : code))).flat();
    const images = await decode(some);
    for (let k = 0; k < AT_ONCE; k++) {
      const tile = new Float32Array(patch * patch);
      for (let r = 0; r < patch; r++) {
        const begin = k * side * side + (TILE[0] * patch + r) * side + TILE[1] * patch;
        tile.set(images.subarray(begin, begin + patch), r * patch);
      }
      const code = tiles + k;
      drawGrey(palette, tile, patch, patch, (code % ACROSS) * size, Math.floor(code / ACROSS) * size);
    }
    tiles += AT_ONCE;
    stage.tiles = tiles;
  };
  // 1: more of the palette; 2: the picture of these codes; 3: the codes of the drawing first
  const redraw = oneAtATime(async (wish) => {
    if (wish === 3) {
      written = await encode(drawing);
      codes = [...written];
    }
    if (wish >= 2) {
      image = await decode(codes);
      show();
    } else if (tiles < count) await drawTiles();
    if (tiles < count) setTimeout(redraw, 0, 1);
  });

  const hand = slider({ label: "Code in hand", min: 0, max: count - 1, step: 1, value: 0 });
  const click = choice({
    label: "A press on a place",
    options: [
      ["put", "puts the code in hand there"],
      ["take", "takes its code in hand"],
    ],
    value: "take",
  });
  const hold = (code) => {
    hand.set(code);
    click.set("put");
  };
  palette.addEventListener("click", (event) => {
    const box = palette.getBoundingClientRect();
    const column = Math.floor(((event.clientX - box.left) / box.width) * ACROSS);
    hold(Math.floor(((event.clientY - box.top) / box.height) * (count / ACROSS)) * ACROSS + column);
  });
  const clear = () => {
    drawing.fill(-1);
    paper.redraw();
    redraw(3);
  };

  const places = make("div", { className: "live-grid", role: "group", "aria-label": "The codes, place by place" }, ...cells);
  places.style.gridTemplateColumns = `repeat(${grid}, 1fr)`;
  const view = (words, element) => make("div", { className: "live-view" }, element, make("span", {}, words));
  const views = [view("draw here", paper.element), view("its codes", places), view("what they draw", picture)];
  const buttons = row(button("Clear the drawing", clear), button("The encoder's codes again", () => redraw(3)));
  const hint = `All ${count} codes, each as it draws one place of an empty picture: press one to take it in hand.`;
  const pictures = make("div", { className: "live-views" }, ...views);
  stage.append(panel(pictures, buttons, click, hand, state), palette, make("p", { className: "live-state" }, hint));
  paper.redraw();
  await redraw(3);
}
