/** Words for [MASK], as distil/pipelines/masks.py guesses them. */

import { cleanUp, join } from "../tokenizer/decoding.mjs";
import { single } from "../tokenizer/sequences.mjs";
import { ranked, softmax } from "./probabilities.mjs";

/** @import { Model } from "../model.mjs" */

const WORDS = 5;

/** @typedef {{masks: {word: string, score: number}[][]}} Guesses for each mask, the best first */

/**
 * @param {Model} model
 * @param {{text: string}} row
 * @returns {Promise<Guesses>}
 */
export async function fillMasks(model, { text }) {
  const { tokenizer } = model;
  const mask = tokenizer.mask && tokenizer.idOf(tokenizer.mask);
  const sequence = single(tokenizer, text, model.limit);
  if (!sequence.ids.includes(/** @type {number} */ (mask))) return { masks: [] };
  const [{ data, dims }] = await model.run([sequence]);
  const width = /** @type {number} */ (dims.at(-1));
  const known = tokenizer.tokens;
  const masks = sequence.ids.flatMap((id, index) => {
    if (id !== mask) return [];
    const probabilities = softmax(data.subarray(index * width, (index + 1) * width));
    // The model may have rows for tokens that no vocabulary has.
    return [ranked(probabilities.slice(0, known.length), WORDS).map((token) => {
      const word = join([known[token]], tokenizer.prefix);
      return { word: tokenizer.cleansUp ? cleanUp(word) : word, score: probabilities[token] };
    })];
  });
  return { masks };
}
