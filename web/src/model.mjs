/**
 * The model: ONNX Runtime in WebAssembly, or on WebGPU where there is one and it computes the same.
 */

import { download, openStore } from "./download.mjs";
import { Tokenizer } from "./tokenizer/tokenizer.mjs";

/** @import { Sequence } from "./tokenizer/sequences.mjs" */

/**
 * How a text is read before it is embedded; `max_length` null for as much as the model takes.
 *
 * @typedef {{prompt: string, lowercase: boolean, max_length: number | null}} Reading
 */

/**
 * What page.json says; `distil export` writes it.
 *
 * @typedef {object} Page
 * @property {string} version changes with any of the files
 * @property {string} name of the model
 * @property {string} task
 * @property {string} dtype
 * @property {string} model path of its graph
 * @property {number} bytes of the graph
 * @property {Reading | null} reading of texts that are embedded
 * @property {string[]} outputs of the graph, in the order in which they are read
 * @property {Record<string, {module: string, binary: string, bytes: number}>} runtimes
 * @property {{ids: number[][], outputs: number[][], tolerance: number}} check the first numbers of
 *   what the graph gives for some tokens
 * @property {string[]} files that the service worker keeps
 */

/** @typedef {{data: Float32Array, dims: readonly number[]}} Output */

/**
 * What page and address ask for.
 *
 * @typedef {{device: string | null, threads: number | null}} Wishes
 */

// More do not help a model as small as these are.
const MOST_THREADS = 4;

export class Model {
  /**
   * @param {Page} page
   * @param {Wishes} wishes
   * @param {(done: {loaded: number, total: number}) => void} tell
   * @returns {Promise<Model>}
   */
  static async load(page, wishes, tell) {
    const store = await openStore(page.version);
    let loaded = 0, keptAll = true;
    const fetched = async (
      /** @type {string} */ path, /** @type {number} */ total, /** @type {number | null} */ size = null,
    ) => {
      const { bytes, isKept } = await download(path, page.version, store, size, (count) => {
        loaded += count;
        tell({ loaded, total: Math.max(loaded, total) });
      });
      keptAll &&= isKept;
      return bytes;
    };
    const tableOf = async (/** @type {string} */ name) =>
      JSON.parse(new TextDecoder().decode(await fetched(name, 0)));

    const start = async (/** @type {"webgpu" | "wasm"} */ device) => {
      const { module, binary, bytes } = page.runtimes[device];
      const total = page.bytes + bytes;
      const graph = await fetched(page.model, total, page.bytes);
      const wasm = await fetched(binary, total);
      const threads = device === "wasm" ? wishes.threads ?? possibleThreads() : 1;
      const ort = await import(module);
      ort.env.wasm.wasmBinary = wasm.buffer;
      ort.env.wasm.numThreads = threads;
      const session = await ort.InferenceSession.create(
        graph, { executionProviders: [device], logSeverityLevel: 3 });
      const model = new Model(page, ort, session, { device, threads });
      return { model, isRight: (await model.error()) <= page.check.tolerance };
    };

    /** @type {{model: Model, isRight: boolean} | null} */
    let found = null;
    if (await wantsWebGPU(page, wishes)) {
      found = await start("webgpu").catch((error) => {
        if (wishes.device) throw error;
        return null;
      });
    }
    // Another device computes otherwise at worst; WebAssembly is the same everywhere.
    if (!found || !(found.isRight || wishes.device)) found = await start("wasm");
    const { model, isRight } = found;
    model.config = await tableOf("config.json");
    model.tokenizer = new Tokenizer(
      await tableOf("tokenizer.json"), await tableOf("tokenizer_config.json"));
    const isKept = Boolean(store) && keptAll;
    model.facts = { ...model.facts, downloaded: loaded, isKept, isRight };
    return model;
  }

  /**
   * @param {Page} page
   * @param {any} ort
   * @param {any} session
   * @param {{device: string, threads: number}} facts
   */
  constructor(page, ort, session, facts) {
    this.page = page;
    this.ort = ort;
    this.session = session;
    this.facts = { ...facts, downloaded: 0, isKept: false, isRight: false };
    // What `run` was given: how many tokens, and whether one was only a part of a text.
    this.tokens = 0;
    this.hasCut = false;
    /** @type {any} */
    this.config = null;
    /** @type {Tokenizer} */
    this.tokenizer = /** @type {any} */ (null);
  }

  /** Tokens of a sequence that the model takes. */
  get limit() {
    return Math.min(this.tokenizer.limit, this.config.max_position_embeddings);
  }

  /** Names of labels, by number.
   *
   * @returns {Record<number, string>}
   */
  get labels() {
    return this.config.id2label;
  }

  /**
   * Scores of one sequence, or of the choices of one row.
   *
   * @param {Pick<Sequence, "ids" | "cut">[]} sequences
   * @returns {Promise<Output[]>} as the page has the graph's outputs
   */
  async run(sequences) {
    const rows = sequences.length;
    const length = Math.max(...sequences.map(({ ids }) => ids.length));
    const dims = this.page.task === "multiple-choice" ? [1, rows, length] : [rows, length];
    const ids = new BigInt64Array(rows * length), mask = new BigInt64Array(rows * length);
    sequences.forEach((sequence, row) => {
      this.tokens += sequence.ids.length;
      this.hasCut ||= sequence.cut;
      sequence.ids.forEach((id, place) => {
        ids[row * length + place] = BigInt(id);
        mask[row * length + place] = 1n;
      });
    });
    const { Tensor } = this.ort;
    const found = await this.session.run({
      input_ids: new Tensor("int64", ids, dims), attention_mask: new Tensor("int64", mask, dims),
    }, this.page.outputs);
    return this.page.outputs.map((name) => ({ data: found[name].data, dims: found[name].dims }));
  }

  /** How far this browser is from what the graph gave when it was exported. */
  async error() {
    const { ids, outputs } = this.page.check;
    const found = await this.run(ids.map((one) => ({ ids: one, cut: false })));
    const apart = found.flatMap(({ data }, number) =>
      outputs[number].map((value, place) => Math.abs(value - data[place])));
    return Math.max(...apart.map((one) => (Number.isNaN(one) ? Infinity : one)));
  }
}

/**
 * @param {Page} page
 * @param {Wishes} wishes
 * @returns {Promise<boolean>}
 */
async function wantsWebGPU(page, wishes) {
  // Products in bytes are WebAssembly's alone.
  if (wishes.device === "wasm" || (page.dtype === "int8" && !wishes.device)) return false;
  const { gpu } = /** @type {any} */ (navigator);
  const adapter = await gpu?.requestAdapter().catch(() => null);
  if (!adapter && wishes.device) throw new Error("This browser has no WebGPU here.");
  // One that a processor stands in for is slower than WebAssembly.
  return Boolean(adapter && (wishes.device || !(adapter.info ?? adapter).isFallbackAdapter));
}

function possibleThreads() {
  return globalThis.crossOriginIsolated ? Math.min(navigator.hardwareConcurrency, MOST_THREADS) : 1;
}
