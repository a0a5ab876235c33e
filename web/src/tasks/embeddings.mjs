/** The nearest of several sentences. */

import { single } from "../tokenizer/sequences.mjs";
import { ranked } from "./probabilities.mjs";

/** @import { Model, Reading } from "../model.mjs" */

/** Vectors of sentences met, so that only what changes is computed as one types. */
const MEMORY = 4096;

/** @type {Map<string, Float32Array>} */
const vectors = new Map();

/** @typedef {{text: string, sentences: string[]}} Query */

/** @typedef {{nearest: {sentence: string, score: number}[]}} Nearest cosines, the highest first */

/**
 * @param {Model} model
 * @param {Query} row
 * @returns {Promise<Nearest>}
 */
export async function findNearest(model, { text, sentences }) {
  const query = await embed(model, text);
  /** @type {number[]} */
  const scores = [];
  for (const sentence of sentences) {
    const vector = await embed(model, sentence);
    scores.push(vector.reduce((sum, value, index) => sum + value * query[index], 0));
  }
  return { nearest: ranked(scores).map((number) =>
    ({ sentence: sentences[number], score: scores[number] })) };
}

/**
 * @param {Model} model whose graph pools tokens
 * @param {string} text
 * @returns {Promise<Float32Array>} of length one
 */
async function embed(model, text) {
  let vector = vectors.get(text);
  if (!vector) {
    const { prompt, lowercase, max_length: most } = /** @type {Reading} */ (model.page.reading);
    const read = lowercase ? (prompt + text).toLowerCase() : prompt + text;
    const limit = Math.min(model.limit, most ?? Infinity);
    const [{ data }] = await model.run([single(model.tokenizer, read, limit)]);
    const length = Math.hypot(...data) || 1;
    vector = data.map((value) => value / length);
    if (vectors.size >= MEMORY) vectors.clear();
    vectors.set(text, vector);
  }
  return vector;
}
