// Chapter 1: a GAN of points in the plane that trains while the reader watches and meddles.
import { GAMES, GAN } from "./gan.mjs";
import { button, canvas, choice, film, lessMotion, make, normal, onTheme, panel, row, slider, theme, uniform } from "./live.mjs";

const MODES = 8;
const SPREAD = 0.05; // standard deviation of a mode; they stand on a circle of radius 1
const BATCH = 128;
const SHOWN = 256; // fakes and data points drawn
const EDGE = 1.7; // the picture reaches from -EDGE to EDGE
const SIDE = 340; // pixels
const CELLS = 44; // of the landscape, along a side
const ARROWS = 28;
const RATE = 1e-3;
const BLUE = [0, 114, 178];
const ORANGE = [213, 94, 0];

const ringPoints = (count, u, gauss) => {
  const points = new Float64Array(2 * count);
  for (let k = 0; k < count; k++) {
    const angle = (2 * Math.PI * Math.floor(MODES * u())) / MODES;
    points[2 * k] = Math.cos(angle) + SPREAD * gauss();
    points[2 * k + 1] = Math.sin(angle) + SPREAD * gauss();
  }
  return points;
};

/** Modes with at least 2 % of the points within 0.2 of their centre: the chapter's own count. */
export function covered(points) {
  const near = new Array(MODES).fill(0);
  for (let k = 0; k < points.length / 2; k++) {
    const [x, y] = [points[2 * k], points[2 * k + 1]];
    const mode = (Math.round((Math.atan2(y, x) / (2 * Math.PI)) * MODES) + MODES) % MODES;
    const angle = (2 * Math.PI * mode) / MODES;
    if (Math.hypot(x - Math.cos(angle), y - Math.sin(angle)) <= 0.2) near[mode] += 1;
  }
  return near.filter((count) => count >= 0.02 * (points.length / 2)).length;
}

/** The game with its settings, without a picture. */
export class Ring {
  constructor(seed) {
    this.settings = { game: "non-saturating", r1: 0, slower: 1, lessons: 1 };
    this.restart(seed);
  }

  restart(seed) {
    this.u = uniform(seed);
    this.gauss = normal(seed + 1);
    this.gan = new GAN({ uniform: this.u });
    this.steps = 0;
    this.real = ringPoints(SHOWN, this.u, this.gauss);
    this.latent = this.noise(SHOWN);
  }

  noise(rows) {
    return Float64Array.from({ length: 2 * rows }, this.gauss);
  }

  /** The discriminator's lessons, then one step of the generator. */
  step() {
    const { game, r1, slower, lessons } = this.settings;
    let real;
    for (let k = 0; k < lessons; k++) {
      real = ringPoints(BATCH, this.u, this.gauss);
      this.gan.teach(real, this.noise(BATCH), BATCH, { game, r1, rate: RATE / slower });
    }
    this.gan.fool(real, this.noise(BATCH), BATCH, { game, rate: RATE });
    this.steps += 1;
  }

  fakes() {
    return this.gan.generator.forward(this.latent, SHOWN);
  }
}

class Picture {
  constructor(ring) {
    this.ring = ring;
    this.canvas = canvas(SIDE, SIDE, "The plane: data, fakes, and the discriminator's landscape behind them.", "live-plane");
    this.pen = this.canvas.getContext("2d");
    this.landscape = make("canvas", { width: CELLS, height: CELLS });
    this.grid = Float64Array.from({ length: 2 * CELLS * CELLS }, (_, k) => {
      const cell = k >> 1;
      return k % 2 ? EDGE * (1 - (2 * Math.floor(cell / CELLS) + 1) / CELLS) : EDGE * ((2 * (cell % CELLS) + 1) / CELLS - 1);
    });
    this.arrows = true;
    this.colours = theme();
  }

  place(x, y) {
    return [((x / EDGE + 1) / 2) * SIDE, ((1 - y / EDGE) / 2) * SIDE];
  }

  draw() {
    const { ring, pen } = this;
    const { ink, paper } = this.colours;
    const logits = ring.gan.discriminator.forward(this.grid, CELLS * CELLS);
    const image = new ImageData(CELLS, CELLS);
    logits.forEach((a, cell) => {
      const d = 1 / (1 + Math.exp(-a)); // 1: the discriminator says real
      const depth = 0.6 * Math.abs(2 * d - 1);
      const colour = (d > 0.5 ? BLUE : ORANGE).map((c, k) => depth * c + (1 - depth) * paper[k]);
      image.data.set([...colour, 255], 4 * cell);
    });
    this.landscape.getContext("2d").putImageData(image, 0, 0);
    pen.imageSmoothingEnabled = true;
    pen.drawImage(this.landscape, 0, 0, SIDE, SIDE);

    const fakes = ring.fakes();
    const rgb = (colour, alpha = 1) => `rgba(${colour.join(",")},${alpha})`;
    pen.fillStyle = rgb(BLUE);
    pen.strokeStyle = rgb(paper, 0.8);
    for (let k = 0; k < SHOWN; k++) {
      pen.beginPath();
      pen.arc(...this.place(ring.real[2 * k], ring.real[2 * k + 1]), 2.6, 0, 7);
      pen.fill();
      pen.stroke();
    }
    pen.strokeStyle = rgb(ORANGE);
    pen.lineWidth = 1.6;
    pen.beginPath();
    for (let k = 0; k < SHOWN; k++) {
      const [x, y] = this.place(fakes[2 * k], fakes[2 * k + 1]);
      pen.moveTo(x - 3, y - 3);
      pen.lineTo(x + 3, y + 3);
      pen.moveTo(x - 3, y + 3);
      pen.lineTo(x + 3, y - 3);
    }
    pen.stroke();
    if (this.arrows) this.drawArrows(fakes, rgb(ink));
    pen.lineWidth = 1;
    return covered(fakes);
  }

  /** Where the generator would move some of the fakes: against the slope of their loss, a fifth of it long. */
  drawArrows(fakes, colour) {
    const { ring, pen } = this;
    const some = fakes.slice(0, 2 * ARROWS);
    const pulls = ring.gan.pulls(some, ring.real.slice(0, 2 * ARROWS), ARROWS, ring.settings.game);
    pen.strokeStyle = colour;
    pen.beginPath();
    for (let k = 0; k < ARROWS; k++) {
      const from = this.place(some[2 * k], some[2 * k + 1]);
      const to = this.place(some[2 * k] - pulls[2 * k] / 5, some[2 * k + 1] - pulls[2 * k + 1] / 5);
      const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
      const length = Math.hypot(dx, dy);
      if (length < 1) continue;
      const [ux, uy] = [(4 * dx) / length, (4 * dy) / length];
      pen.moveTo(...from);
      pen.lineTo(...to);
      pen.lineTo(to[0] - ux - uy * 0.6, to[1] - uy + ux * 0.6);
      pen.moveTo(...to);
      pen.lineTo(to[0] - ux + uy * 0.6, to[1] - uy - ux * 0.6);
    }
    pen.stroke();
  }
}

const WORDS = {
  "non-saturating": "non-saturating",
  minimax: "minimax",
  "least-squares": "least squares",
  hinge: "hinge",
  relativistic: "relativistic pairing",
};

export async function start(stage) {
  let seed = 1;
  const ring = new Ring(seed);
  const picture = new Picture(ring);
  const state = make("p", { className: "live-state" });
  const show = () => {
    const count = picture.draw();
    state.textContent = `Step ${ring.steps}. The fakes cover ${count} of ${MODES} modes.`;
    stage.drawn = (stage.drawn ?? 0) + 1; // benchmarks look at it
  };
  const pace = slider({ label: "Steps a picture", min: 1, max: 10, step: 1, value: 4 });
  const game = choice({
    label: "Loss",
    options: Object.keys(GAMES).map((key) => [key, WORDS[key]]),
    value: ring.settings.game,
    change: (key) => {
      ring.settings.game = key;
      show();
    },
  });
  const penalties = [0, 0.01, 0.03, 0.1, 0.3, 1];
  const penalty = slider({
    label: "R1, weight γ",
    min: 0,
    max: penalties.length - 1,
    step: 1,
    value: 0,
    format: (place) => String(penalties[place]),
    change: (place) => (ring.settings.r1 = penalties[place]),
  });
  const slower = slider({
    label: "Discriminator slower by",
    min: 1,
    max: 10,
    step: 1,
    value: 1,
    format: (times) => `× ${times}`,
    change: (times) => (ring.settings.slower = times),
  });
  const lessons = slider({
    label: "Its steps for one of the generator",
    min: 1,
    max: 5,
    step: 1,
    value: 1,
    change: (count) => (ring.settings.lessons = count),
  });
  const arrows = make("input", { type: "checkbox", checked: true });
  arrows.addEventListener("change", () => {
    picture.arrows = arrows.checked;
    show();
  });

  const training = film(
    picture.canvas,
    () => {
      const until = performance.now() + 40; // on a slow machine, fewer steps a picture and no frozen page
      for (let k = 0; k < pace.value && performance.now() < until; k++) ring.step();
      show();
    },
    { word: "Run" },
  );
  const again = () => {
    seed += 1;
    ring.restart(seed);
    show();
  };
  const collapse = () => {
    slower.set(10);
    lessons.set(1);
    penalty.set(0);
    game.set("non-saturating");
    ring.settings = { game: "non-saturating", r1: 0, slower: 10, lessons: 1 };
    again();
    training.run(true);
  };
  const step = () => {
    training.run(false);
    ring.step();
    show();
  };

  const buttons = row(training.element, button("One step", step), button("Start anew", again), button("Collapse", collapse));
  const pulled = make("label", { className: "live-control" }, make("span", {}, "Arrows: where each fake is pulled"), arrows);
  stage.append(panel(make("div", {}, picture.canvas, state), buttons, game, penalty, slower, lessons, pace, pulled));
  stage.ring = ring; // tests look at it
  onTheme(() => {
    picture.colours = theme();
    show();
  });
  show();
  training.run(!lessMotion());
}
