// A small picture to draw on, by mouse, finger or keyboard.
import { canvas } from "./live.mjs";

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** How much of a pixel a round pen covers, 0 to 1, that goes along the line between two points, in pixels. */
export function coverage(x, y, [x0, y0], [x1, y1], radius) {
  const [dx, dy] = [x1 - x0, y1 - y0];
  const along = dx || dy ? ((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy) : 0;
  const t = Math.min(1, Math.max(0, along));
  return Math.min(1, Math.max(0, radius + 0.5 - Math.hypot(x - x0 - t * dx, y - y0 - t * dy)));
}

/** Draws a line on a grey picture in [-1, 1]: white that is laid over what is there. */
export function drawLine(values, side, from, to, radius) {
  for (let k = 0; k < side * side; k++) {
    const cover = coverage((k % side) + 0.5, Math.floor(k / side) + 0.5, from, to, radius);
    values[k] = Math.max(values[k], 2 * cover - 1);
  }
}

/**
 * A canvas of `side` by `side` pixels that calls `line(from, to)`, in pixels, where the reader draws, and `show(pen)`
 * when it is to be drawn anew. Arrow keys move the pen and the space bar puts it down or lifts it.
 */
export function pad({ side, words, line, show }) {
  const element = canvas(side, side, `${words} Arrow keys move the pen, the space bar puts it down or lifts it.`, "live-pixels live-pad");
  element.tabIndex = 0;
  element.setAttribute("role", "application");
  let last = null; // where the pointer was, while it draws
  const pen = { x: side / 2, y: side / 2, down: false, seen: false }; // of the keyboard
  const redraw = () => {
    show();
    if (!pen.seen) return;
    const ink = element.getContext("2d");
    ink.fillStyle = pen.down ? "#d55e00" : "#0072b2";
    ink.fillRect(Math.floor(pen.x), Math.floor(pen.y), 1, 1);
  };
  const place = (event) => {
    const box = element.getBoundingClientRect();
    return [((event.clientX - box.left) / box.width) * side, ((event.clientY - box.top) / box.height) * side];
  };
  element.addEventListener("pointerdown", (event) => {
    element.setPointerCapture(event.pointerId);
    last = place(event);
    pen.seen = false;
    line(last, last);
    redraw();
  });
  element.addEventListener("pointermove", (event) => {
    if (!last) return;
    const now = place(event);
    line(last, now);
    last = now;
    redraw();
  });
  for (const end of ["pointerup", "pointercancel"]) element.addEventListener(end, () => (last = null));
  element.addEventListener("keydown", (event) => {
    if (event.key !== " " && !STEPS[event.key]) return;
    event.preventDefault();
    const before = [pen.x, pen.y];
    if (event.key === " ") pen.down = !pen.down;
    else {
      const [dx, dy] = STEPS[event.key];
      pen.x = Math.min(side - 0.5, Math.max(0.5, pen.x + dx));
      pen.y = Math.min(side - 0.5, Math.max(0.5, pen.y + dy));
    }
    pen.seen = true;
    if (pen.down) line(before, [pen.x, pen.y]);
    redraw();
  });
  element.addEventListener("blur", () => {
    Object.assign(pen, { down: false, seen: false });
    redraw();
  });
  return { element, redraw };
}
