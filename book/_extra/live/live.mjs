// What all live figures share: controls, canvases, colours of the theme, loops that rest, noise from a seed.

/** An element with properties and children; keys with a dash are attributes. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-") || key === "role") element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children);
  return element;
}

export const lessMotion = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** A labelled slider that shows its value. `format` turns the number into words. Returns {element, value, set}. */
export function slider({ label, min, max, step, value, format = String, change }) {
  const input = make("input", { type: "range", min, max, step, value });
  const shown = make("output", {}, format(Number(value)));
  const read = () => {
    shown.textContent = format(Number(input.value));
    input.setAttribute("aria-valuetext", shown.textContent);
  };
  input.addEventListener("input", () => {
    read();
    change?.(Number(input.value));
  });
  read();
  return {
    element: make("label", { className: "live-control" }, make("span", {}, label), input, shown),
    get value() {
      return Number(input.value);
    },
    set(number) {
      input.value = number;
      read();
    },
  };
}

/** A labelled choice among `options`, [value, words] each. Returns {element, value, set}. */
export function choice({ label, options, value, change }) {
  const select = make("select", {}, ...options.map(([key, words]) => make("option", { value: key }, words)));
  select.value = value;
  select.addEventListener("change", () => change?.(select.value));
  return {
    element: make("label", { className: "live-control" }, make("span", {}, label), select),
    get value() {
      return select.value;
    },
    set(key) {
      select.value = key;
    },
  };
}

export function button(label, press) {
  const element = make("button", { type: "button", className: "live-button" }, label);
  element.addEventListener("click", press);
  return element;
}

export const row = (...children) => make("div", { className: "live-row" }, ...children);

/** A picture, and its controls and words beside it or, on a narrow page, below it. */
export function panel(picture, ...controls) {
  const elements = controls.map((control) => control.element ?? control);
  return make("div", { className: "live-split" }, picture, make("div", { className: "live-panel" }, ...elements));
}

/** Words with their numbers, for `choice`. */
export const numbered = (words) => words.map((word, k) => [k, word]);

/** A label as the models take it: a whole number for each clip of a batch of one. */
export const label = (value) => BigInt64Array.of(BigInt(value));

export const DIGITS = [..."0123456789"];
export const DIRECTIONS = ["right", "up right", "up", "up left", "left", "down left", "down", "down right"];
export const SPEEDS = ["slow", "fast"];

/** A canvas that is described in words. */
export function canvas(width, height, words, className = "") {
  return make("canvas", { width, height, className, role: "img", "aria-label": words });
}

/** Floats in [-1, 1], grey, row by row, as pixels: the same levels as the package's pictures. */
export function drawGrey(target, values, width, height, left = 0, top = 0) {
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    const level = Math.round((Math.min(1, Math.max(-1, values[i])) + 1) * 127.5);
    image.data.set([level, level, level, 255], 4 * i);
  }
  target.getContext("2d").putImageData(image, left, top);
}

/** One frame of a clip (channels, frames, side, side) in [-1, 1], grey or in colour, as pixels. */
export function drawFrame(target, values, channels, frames, at, side, left = 0) {
  const image = new ImageData(side, side);
  for (let i = 0; i < side * side; i++) {
    const level = (c) => Math.round((Math.min(1, Math.max(-1, values[((c % channels) * frames + at) * side * side + i])) + 1) * 127.5);
    image.data.set([level(0), level(1), level(2), 255], 4 * i);
  }
  target.getContext("2d").putImageData(image, left, 0);
}

/** Ink and paper of the page, as [red, green, blue]. Ask again when the theme changes: see `onTheme`. */
export function theme() {
  const read = (name, other) => {
    const probe = make("span", {});
    probe.style.color = `var(${name}, ${other})`;
    document.body.append(probe);
    const parts = getComputedStyle(probe).color.match(/[\d.]+/g).slice(0, 3).map(Number);
    probe.remove();
    return parts;
  };
  return { ink: read("--pst-color-text-base", "#222"), paper: read("--pst-color-background", "#fff") };
}

export function onTheme(redraw) {
  new MutationObserver(redraw).observe(document.documentElement, { attributeFilter: ["data-theme", "data-mode"] });
}

/** Calls `frame` before each picture of the screen while it runs; rests while `element` is out of sight. */
function loop(element, frame) {
  let running = false;
  let inSight = true;
  let waiting = 0;
  const tick = () => {
    waiting = 0;
    if (!running || !inSight) return;
    frame();
    waiting = requestAnimationFrame(tick);
  };
  const wake = () => {
    if (running && inSight && !waiting) waiting = requestAnimationFrame(tick);
  };
  new IntersectionObserver((entries) => {
    inSight = entries.at(-1).isIntersecting;
    wake();
  }).observe(element);
  return {
    get running() {
      return running;
    },
    run(on) {
      running = on;
      wake();
    },
  };
}

/** A loop and its button, which says `word`, or `stop` while it runs. `frame` is called at most every `pause` milliseconds. */
export function film(element, frame, { word = "Play", stop = "Pause", pause = 0 } = {}) {
  let before = 0;
  const moving = loop(element, () => {
    const now = performance.now();
    if (now - before < pause) return;
    before = now;
    frame();
  });
  const run = (on) => {
    moving.run(on);
    control.textContent = on ? stop : word;
  };
  const control = button(word, () => run(!moving.running));
  return { element: control, run };
}

/**
 * One run at a time: while `draw(wish)` works, later wishes wait, and only the greatest of them is drawn. A wish is a
 * number from 1: the more of a figure it draws anew, the greater.
 */
export function oneAtATime(draw) {
  let busy = false;
  let wish = 0;
  return async (wanted) => {
    wish = Math.max(wish, wanted);
    if (busy) return;
    busy = true;
    try {
      while (wish) {
        const now = wish;
        wish = 0;
        await draw(now);
      }
    } finally {
      busy = false;
    }
  };
}

/** Uniform numbers in [0, 1) from a seed: a 32-bit counter, stirred by multiplications. */
export function uniform(seed) {
  let counter = seed >>> 0;
  return () => {
    counter = (counter + 0x9e3779b9) >>> 0;
    let x = counter;
    x = Math.imul(x ^ (x >>> 16), 0x21f0aaad);
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97);
    return ((x ^ (x >>> 15)) >>> 0) / 2 ** 32;
  };
}

/** Standard normal numbers from a seed, after Box and Muller. */
export function normal(seed) {
  const u = uniform(seed);
  return () => Math.sqrt(-2 * Math.log(1 - u())) * Math.cos(2 * Math.PI * u());
}

export const normals = (draw, count) => Float32Array.from({ length: count }, draw);
