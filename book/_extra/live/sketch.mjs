// A digit that the reader draws, and its flight: given frames for the models of chapters 7 and 8.
import { button, drawGrey, row } from "./live.mjs";
import { drawLine, pad } from "./pad.mjs";

const BOX = 20; // side of a digit that flies, pixels
const PEN = 1; // radius, pixels
const H = Math.SQRT1_2;
const UNIT = [[0, 1], [-H, H], [-1, 0], [-H, -H], [0, -1], [H, -H], [1, 0], [H, H]]; // of each direction: down, right
const THREE = [[5, 4], [8, 2.5], [12, 2.5], [14, 5], [13, 8], [9, 9.5], [13, 10.5], [14.5, 13.5], [13, 16.5], [9, 17.5], [5.5, 16]];

/** Frames of a drawing, BOX by BOX in [-1, 1], that flies through the middle as the digits of the data do. */
export function flown(drawing, direction, speed, count, side) {
  const frames = new Float32Array(count * side * side);
  const at = (y, x) => (y < 0 || x < 0 || y >= BOX || x >= BOX ? -1 : drawing[y * BOX + x]);
  for (let k = 0; k < frames.length; k++) {
    const [t, row, column] = [Math.floor(k / side ** 2), Math.floor(k / side) % side, k % side];
    const [y, x] = UNIT[direction].map((unit, axis) => [row, column][axis] - (side - BOX) / 2 - unit * (speed + 1) * t);
    const [top, left] = [Math.floor(y), Math.floor(x)];
    const [down, right] = [y - top, x - left]; // shares of the pixels below and to the right
    frames[k] =
      (1 - down) * ((1 - right) * at(top, left) + right * at(top, left + 1)) +
      down * ((1 - right) * at(top + 1, left) + right * at(top + 1, left + 1));
  }
  return frames;
}

/** A pad with a 3 on it to begin with. `changed` is called when the drawing is another. Returns {drawing, elements}. */
export function sketch(words, changed) {
  const drawing = new Float32Array(BOX * BOX).fill(-1);
  THREE.slice(1).forEach((point, k) => drawLine(drawing, BOX, THREE[k], point, PEN));
  const paper = pad({
    side: BOX,
    words,
    line(from, to) {
      drawLine(drawing, BOX, from, to, PEN);
      changed();
    },
    show: () => drawGrey(paper.element, drawing, BOX, BOX),
  });
  const wipe = button("Wipe", () => {
    drawing.fill(-1);
    paper.redraw();
    changed();
  });
  paper.redraw();
  return { drawing, elements: [paper.element, row(wipe)] };
}
