// Trained models in the page: ONNX files of `vidgen export`, run by ONNX Runtime Web on one thread of the processor.
import * as runtime from "../onnxruntime/ort.wasm.min.mjs";

const RUNTIME = new URL("../onnxruntime/", import.meta.url);
const MODELS = new URL("models/", import.meta.url);
// The smallest module with a vector instruction: () => i8x16.splat(0)
const VECTORS = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 8, 1, 6, 0, 65, 0, 253, 15, 11];

async function fetched(address, what) {
  let answer;
  try {
    answer = await fetch(address);
  } catch {
    throw new Error(`${what} could not be loaded. Is the connection up? Press the button to try again.`);
  }
  if (!answer.ok) throw new Error(`${what} is missing from this site (status ${answer.status}). make book writes it.`);
  return answer;
}

/** SHA-256 in hex digits; the browser's own is not there on every site. */
function sha256(bytes) {
  const primes = [];
  for (let n = 2; primes.length < 64; n++) if (primes.every((p) => n % p)) primes.push(n);
  const fraction = (x) => ((x % 1) * 2 ** 32) | 0;
  const constants = primes.map((p) => fraction(Math.cbrt(p)));
  const hash = Int32Array.from(primes.slice(0, 8), (p) => fraction(Math.sqrt(p)));
  const padded = new Uint8Array(Math.ceil((bytes.length + 9) / 64) * 64);
  padded.set(bytes);
  padded[bytes.length] = 128;
  const words = new DataView(padded.buffer);
  words.setUint32(padded.length - 4, bytes.length * 8);
  words.setUint32(padded.length - 8, Math.floor(bytes.length / 2 ** 29));
  const turn = (x, by) => (x >>> by) | (x << (32 - by));
  const w = new Int32Array(64);
  for (let start = 0; start < padded.length; start += 64) {
    for (let t = 0; t < 64; t++) {
      if (t < 16) w[t] = words.getInt32(start + 4 * t);
      else {
        const [a, b] = [w[t - 15], w[t - 2]];
        w[t] = w[t - 16] + w[t - 7] + (turn(a, 7) ^ turn(a, 18) ^ (a >>> 3)) + (turn(b, 17) ^ turn(b, 19) ^ (b >>> 10));
      }
    }
    let [a, b, c, d, e, f, g, h] = hash;
    for (let t = 0; t < 64; t++) {
      const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + constants[t] + w[t]) | 0;
      const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + one) | 0, c, b, a, (one + two) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((value, k) => (hash[k] += value));
  }
  return Array.from(hash, (value) => (value >>> 0).toString(16).padStart(8, "0")).join("");
}

let started;

/** Unpacks the runtime, once a page. */
async function startRuntime() {
  if (!WebAssembly.validate(new Uint8Array(VECTORS))) {
    throw new Error("this browser lacks WebAssembly with vector instructions (SIMD), which the model needs.");
  }
  const address = new URL("ort-wasm-simd-threaded.wasm.gz", RUNTIME);
  const packed = new Uint8Array(await (await fetched(address, "The program that runs models")).arrayBuffer());
  const isPacked = packed[0] === 0x1f && packed[1] === 0x8b; // some servers unpack it on the way
  const { body } = new Response(packed);
  const unpacked = isPacked ? body.pipeThrough(new DecompressionStream("gzip")) : body;
  runtime.env.wasm.wasmBinary = await new Response(unpacked).arrayBuffer();
  runtime.env.wasm.wasmPaths = RUNTIME.href;
  runtime.env.wasm.numThreads = 1;
}

/** A model's card and, by graph, the contents of its ONNX files, each checked. */
async function loadFiles(name, weights, wanted) {
  const card = await (await fetched(new URL(`${name}.json`, MODELS), `The card of ${name}`)).json();
  if (card.weights_sha256 !== weights) {
    throw new Error(`the files of ${name} are not those that this page was built with. Reload the page.`);
  }
  const contents = await Promise.all(
    (wanted ?? Object.keys(card.graphs)).map(async (graph) => {
      const { file, sha256: stated } = card.graphs[graph];
      const content = new Uint8Array(await (await fetched(new URL(file, MODELS), file)).arrayBuffer());
      if (sha256(content) !== stated) throw new Error(`${file} is damaged: its SHA-256 is not that of the model's card.`);
      return [graph, content];
    }),
  );
  return { card, contents };
}

/** The lengths of a graph's inputs along each axis, from their flat arrays: an axis with a name is as long as it takes. */
function sides(ports, inputs) {
  const names = new Map();
  const side = (axis) => (Number.isInteger(axis) ? axis : names.get(axis));
  let open = Object.entries(ports);
  while (open.length) {
    const later = [];
    for (const [port, { shape }] of open) {
      const unknown = [...new Set(shape.filter((axis) => side(axis) === undefined))];
      const known = shape.reduce((product, axis) => product * (side(axis) ?? 1), 1);
      if (unknown.length === 1) names.set(unknown[0], inputs[port].length / known);
      else if (unknown.length) later.push([port, { shape }]);
    }
    if (later.length === open.length) names.set("batch", 1); // nothing says how many: one clip
    open = later;
  }
  return (shape) => shape.map(side);
}

/**
 * The graphs of a model that ships, ready to run; `wanted` names those that are needed, else all are loaded. `weights`
 * is the SHA-256 of the weights that the page was built for.
 * Returns {card, run}: `run(graph, inputs)` takes a flat array for each input and gives one for each output.
 */
export async function loadModel(name, weights, wanted) {
  const ready = (started ??= startRuntime());
  ready.catch(() => (started = undefined)); // the next press tries again
  const [{ card, contents }] = await Promise.all([loadFiles(name, weights, wanted), ready]);
  const sessions = {};
  for (const [graph, content] of contents) {
    sessions[graph] = await runtime.InferenceSession.create(content, { executionProviders: ["wasm"] });
  }
  return {
    card,
    async run(graph, inputs) {
      const ports = card.graphs[graph].inputs;
      const lengths = sides(ports, inputs);
      const feeds = {};
      for (const [port, { shape, dtype }] of Object.entries(ports)) {
        feeds[port] = new runtime.Tensor(dtype, inputs[port], lengths(shape));
      }
      const outputs = await sessions[graph].run(feeds);
      return Object.fromEntries(Object.entries(outputs).map(([port, tensor]) => [port, tensor.data]));
    },
  };
}
