// Writing a clip code by code, as the transformers of chapters 7 and 8 do: one step a code, with what was computed for
// the codes before kept, and a draw from the shares that the step gives.

/**
 * The shares of all codes, as `sharpen` in vidgen_lab/nn/transformer.py and a softmax make them of logits. Temperature 0
 * leaves the likeliest alone; of the others, those are kept whose shares, the likeliest first, sum to `topP`.
 */
export function sharpen(logits, temperature, topP) {
  const order = Array.from(logits.keys()).sort((a, b) => logits[b] - logits[a]); // stable: the first of equals first
  const shares = new Float64Array(logits.length);
  if (temperature === 0) {
    shares[order[0]] = 1;
    return shares;
  }
  const most = logits[order[0]];
  let sum = 0;
  logits.forEach((logit, code) => (sum += shares[code] = Math.exp((logit - most) / temperature)));
  let before = 0; // what the likelier codes have together
  let kept = 0;
  for (const code of order) {
    const share = shares[code] / sum;
    shares[code] = before < topP || topP >= 1 ? share : 0;
    kept += shares[code];
    before += share;
  }
  return shares.map((share) => share / kept);
}

/** The code in whose part of [0, 1) a uniform number falls. */
export function pick(shares, u) {
  let sum = 0;
  let last = 0; // where rounding leaves the sum below u
  for (const [code, share] of shares.entries()) {
    if (share > 0) last = code;
    sum += share;
    if (u < sum) return code;
  }
  return last;
}

/** One clip that is written. `told`: what the graph `tell` gave, for as many copies as are asked the same step. */
export class Writer {
  constructor(model, { places, ...told }, copies) {
    const { inputs } = model.card.graphs.step;
    this.model = model;
    this.told = told;
    this.places = places;
    this.copies = copies;
    [, , ...this.axes] = inputs.past.shape;
    this.dim = inputs.place.shape[1];
    this.start = inputs.code.range[1];
    this.length = model.card.graphs.tell.outputs.places.shape[0];
    this.row = copies * this.axes.reduce((product, side) => product * side, 1);
    this.past = new Float32Array(this.length * this.row);
    this.codes = [];
  }

  get done() {
    return this.codes.length === this.length;
  }

  /** The logits of the next code: those of the copies, each with its weight, added. */
  async logits(weights) {
    const { copies, dim, row } = this;
    const at = this.codes.length;
    const outputs = await this.model.run("step", {
      code: new BigInt64Array(copies).fill(BigInt(at ? this.codes[at - 1] : this.start)),
      past: this.past.subarray(0, at * row),
      place: this.places.subarray(at * copies * dim, (at + 1) * copies * dim),
      ...this.told,
    });
    this.past.set(outputs.fresh, at * row);
    const count = outputs.logits.length / copies;
    return Float32Array.from({ length: count }, (_, code) =>
      weights.reduce((sum, weight, copy) => sum + weight * outputs.logits[copy * count + code], 0),
    );
  }
}
