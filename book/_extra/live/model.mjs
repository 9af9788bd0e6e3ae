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
export function sha256(bytes) {
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

/** A model's card and the contents of its ONNX files, each checked. */
async function loadFiles(name, weights) {
  const card = await (await fetched(new URL(`${name}.json`, MODELS), `The card of ${name}`)).json();
  if (card.weights_sha256 !== weights) {
    throw new Error(`the files of ${name} are not those that this page was built with. Reload the page.`);
  }
  const contents = await Promise.all(
    Object.values(card.graphs).map(async ({ file, sha256: wanted }) => {
      const content = new Uint8Array(await (await fetched(new URL(file, MODELS), file)).arrayBuffer());
      if (sha256(content) !== wanted) throw new Error(`${file} is damaged: its SHA-256 is not that of the model's card.`);
      return content;
    }),
  );
  return { card, contents };
}

/**
 * The graphs of a model that ships, ready to run. `weights` is the SHA-256 of the weights that the page was built for.
 * Returns {card, run}: `run(graph, inputs)` takes a flat array for each input and gives one for each output.
 */
export async function loadModel(name, weights) {
  const ready = (started ??= startRuntime());
  ready.catch(() => (started = undefined)); // the next press tries again
  const [{ card, contents }] = await Promise.all([loadFiles(name, weights), ready]);
  const sessions = {};
  for (const [place, graph] of Object.keys(card.graphs).entries()) {
    sessions[graph] = await runtime.InferenceSession.create(contents[place], { executionProviders: ["wasm"] });
  }
  return {
    card,
    async run(graph, inputs) {
      const feeds = {};
      for (const [port, { shape, dtype }] of Object.entries(card.graphs[graph].inputs)) {
        const values = inputs[port];
        const fixed = shape.filter(Number.isInteger).reduce((product, side) => product * side, 1);
        const free = values.length / fixed; // the length of "batch"; with "frames" too, a single clip
        const sides = shape.map((side) => (Number.isInteger(side) ? side : side === "batch" && shape.includes("frames") ? 1 : free));
        feeds[port] = new runtime.Tensor(dtype, values, sides);
      }
      const outputs = await sessions[graph].run(feeds);
      return Object.fromEntries(Object.entries(outputs).map(([port, tensor]) => [port, tensor.data]));
    },
  };
}
