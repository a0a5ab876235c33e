/** Which of several texts continues a prompt, as distil/pipelines/choices.py chooses. */

import { pair } from "../tokenizer/sequences.mjs";
import { ranked, softmax } from "./probabilities.mjs";

/** @import { Model } from "../model.mjs" */

/** @typedef {{prompt: string, choices: string[]}} Prompt */

/** @typedef {{choices: {choice: string, score: number}[]}} Choices the best first */

/**
 * @param {Model} model
 * @param {Prompt} row
 * @returns {Promise<Choices>}
 */
export async function choose(model, { prompt, choices }) {
  if (choices.length < 2) return { choices: [] };
  const sequences = choices.map((choice) => pair(model.tokenizer, prompt, choice, model.limit));
  const [{ data }] = await model.run(sequences);
  const scores = softmax(data);
  return { choices: ranked(scores).map((number) =>
    ({ choice: choices[number], score: scores[number] })) };
}
