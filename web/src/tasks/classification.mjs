/** Labels of whole texts, as distil/pipelines/classification.py gives them. */

import { single } from "../tokenizer/sequences.mjs";
import { ranked, sigmoid, softmax } from "./probabilities.mjs";

/** @import { Model } from "../model.mjs" */

/** @typedef {{labels: {label: string, score: number}[]}} Labels the best first */

/**
 * @param {Model} model
 * @param {{text: string}} row
 * @returns {Promise<Labels>}
 */
export async function classify(model, { text }) {
  const [{ data }] = await model.run([single(model.tokenizer, text, model.limit)]);
  const { problem_type: kind } = model.config;
  const scores = kind === "regression" ? Array.from(data)
    : kind === "multi_label_classification" || data.length === 1 ? sigmoid(data) : softmax(data);
  return {
    labels: ranked(scores).map((label) => ({ label: model.labels[label], score: scores[label] })),
  };
}
