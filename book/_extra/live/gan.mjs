// A GAN of points in the plane: the networks, the games and Adam of vidgen_lab/models/gan.py, preset `ring`, by hand.
// Numbers are 64-bit; arrays are flat, rows first. A test sets every step beside torch.

const LEAK = 0.2; // slope of the leaky ReLU for negative numbers
const sigmoid = (a) => 1 / (1 + Math.exp(-a));

/** Linear layers with leaky ReLU between them. A layer's weights are `w` (out, in) and `b` (out), as in torch. */
class MLP {
  constructor(sizes, uniform) {
    this.sizes = sizes;
    this.layers = sizes.slice(1).map((out, index) => {
      const into = sizes[index];
      const draw = () => (2 * uniform() - 1) / Math.sqrt(into); // torch's own initialisation
      const layer = { w: Float64Array.from({ length: out * into }, draw), b: Float64Array.from({ length: out }, draw) };
      return { ...layer, dw: new Float64Array(out * into), db: new Float64Array(out) };
    });
  }

  /** (n, in) to (n, out); keeps what each layer gave, for the way back. */
  forward(inputs, n) {
    this.seen = [inputs];
    this.layers.forEach(({ w, b }, index) => {
      const [into, out] = [this.sizes[index], this.sizes[index + 1]];
      const x = this.seen[index];
      const y = new Float64Array(n * out);
      const bent = index < this.layers.length - 1;
      for (let r = 0; r < n; r++) {
        for (let o = 0; o < out; o++) {
          let sum = b[o];
          for (let i = 0; i < into; i++) sum += w[o * into + i] * x[r * into + i];
          y[r * out + o] = bent && sum < 0 ? LEAK * sum : sum;
        }
      }
      this.seen.push(y);
    });
    return this.seen.at(-1);
  }

  /** Gradients of the outputs (n, out) to those of the inputs, and of the weights too where they are to move. */
  backward(gradient, n, moves = true) {
    this.slopes = []; // of each layer before its leaky ReLU
    for (let index = this.layers.length - 1; index >= 0; index--) {
      const { w, dw, db } = this.layers[index];
      const [into, out] = [this.sizes[index], this.sizes[index + 1]];
      const [x, y] = [this.seen[index], this.seen[index + 1]];
      const before = new Float64Array(n * into);
      const bent = index < this.layers.length - 1;
      const slope = bent ? gradient.map((g, k) => (y[k] < 0 ? LEAK * g : g)) : gradient;
      this.slopes[index] = slope;
      for (let r = 0; r < n; r++) {
        for (let o = 0; o < out; o++) {
          const g = slope[r * out + o];
          if (g === 0) continue;
          for (let i = 0; i < into; i++) before[r * into + i] += g * w[o * into + i];
          if (!moves) continue;
          for (let i = 0; i < into; i++) dw[o * into + i] += g * x[r * into + i];
          db[o] += g;
        }
      }
      gradient = before;
    }
    return gradient;
  }

  /** Adds the gradient of gamma/2 E|grad_x a(x)|^2 at the inputs that `forward` saw last: R1. */
  penalise(n, gamma) {
    const gradient = this.backward(new Float64Array(n).fill(1), n, false);
    let u = gradient.map((g) => (gamma / n) * g); // goes forward through the slopes, without the biases
    this.layers.forEach(({ w, dw }, index) => {
      const [into, out] = [this.sizes[index], this.sizes[index + 1]];
      const [slope, y] = [this.slopes[index], this.seen[index + 1]];
      const bent = index < this.layers.length - 1;
      const next = new Float64Array(n * out);
      for (let r = 0; r < n; r++) {
        for (let o = 0; o < out; o++) {
          let sum = 0;
          for (let i = 0; i < into; i++) {
            sum += w[o * into + i] * u[r * into + i];
            dw[o * into + i] += slope[r * out + o] * u[r * into + i];
          }
          next[r * out + o] = bent && y[r * out + o] < 0 ? LEAK * sum : sum;
        }
      }
      u = next;
    });
  }
}

/** Adam as in torch, for one network. */
export class Adam {
  constructor(network, betas) {
    this.betas = betas;
    this.steps = 0;
    this.parts = network.layers.flatMap(({ w, b, dw, db }) => [
      [w, dw],
      [b, db],
    ]);
    this.means = this.parts.map(([value]) => [new Float64Array(value.length), new Float64Array(value.length)]);
  }

  /** Moves the weights and sets the gradients back to 0. */
  step(rate) {
    this.steps += 1;
    const [beta1, beta2] = this.betas;
    const [fix1, fix2] = [1 - beta1 ** this.steps, 1 - beta2 ** this.steps];
    this.parts.forEach(([value, gradient], part) => {
      const [first, second] = this.means[part];
      for (let k = 0; k < value.length; k++) {
        first[k] = beta1 * first[k] + (1 - beta1) * gradient[k];
        second[k] = beta2 * second[k] + (1 - beta2) * gradient[k] ** 2;
        value[k] -= ((rate / fix1) * first[k]) / (Math.sqrt(second[k] / fix2) + 1e-8);
      }
      gradient.fill(0);
    });
  }
}

/**
 * The games: slopes of both players' losses with respect to one logit. `real` and `fake` give the discriminator's two
 * halves, `generator` its opponent's; a relativistic game reads the logit of the pair's other half too.
 */
const crossEntropy = { real: (a) => -sigmoid(-a), fake: (a) => sigmoid(a) };
export const GAMES = {
  "non-saturating": { ...crossEntropy, generator: (a) => -sigmoid(-a) },
  minimax: { ...crossEntropy, generator: (a) => -sigmoid(a) },
  "least-squares": { real: (a) => a - 1, fake: (a) => a, generator: (a) => a - 1 },
  hinge: { real: (a) => (a < 1 ? -1 : 0), fake: (a) => (a > -1 ? 1 : 0), generator: () => -1 },
  relativistic: {
    real: (a, fake) => -sigmoid(fake - a),
    fake: (a, real) => sigmoid(a - real),
    generator: (a, real) => -sigmoid(real - a),
  },
};

export class GAN {
  constructor({ latentDim = 2, width = 64, betas = [0.5, 0.999], uniform }) {
    this.generator = new MLP([latentDim, width, width, 2], uniform);
    this.discriminator = new MLP([2, width, width, 1], uniform);
    this.optimizers = [new Adam(this.discriminator, betas), new Adam(this.generator, betas)];
  }

  /** One step of the discriminator: real points and latents, n rows each. */
  teach(real, latent, n, { game, r1 = 0, rate = 1e-3 }) {
    const { discriminator } = this;
    const fake = this.generator.forward(latent, n);
    const fakeLogits = discriminator.forward(fake, n);
    const fakeSeen = discriminator.seen;
    const realLogits = discriminator.forward(real, n);
    discriminator.backward(realLogits.map((a, k) => GAMES[game].real(a, fakeLogits[k]) / n), n);
    if (r1 > 0) discriminator.penalise(n, r1);
    discriminator.seen = fakeSeen;
    discriminator.backward(fakeLogits.map((a, k) => GAMES[game].fake(a, realLogits[k]) / n), n);
    this.optimizers[0].step(rate);
  }

  /** One step of the generator. */
  fool(real, latent, n, { game, rate = 1e-3 }) {
    const fake = this.generator.forward(latent, n);
    this.generator.backward(this.pulls(fake, real, n, game).map((g) => g / n), n);
    this.optimizers[1].step(rate);
  }

  /** The slope of each fake's own loss with respect to its place, (n, 2): the generator moves it the other way. */
  pulls(fake, real, n, game) {
    const { discriminator } = this;
    const realLogits = game === "relativistic" ? discriminator.forward(real, n) : null;
    const logits = discriminator.forward(fake, n);
    return discriminator.backward(logits.map((a, k) => GAMES[game].generator(a, realLogits?.[k])), n, false);
  }
}
