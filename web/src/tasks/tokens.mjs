/**
 * What words name, as distil/pipelines/tokens.py gives it with aggregation_strategy="average", which
 * `distil predict` uses.
 */

import { single } from "../tokenizer/sequences.mjs";
import { ranked, softmax } from "./probabilities.mjs";

/** @import { Model } from "../model.mjs" */

/**
 * Neighbouring words of one label; start and end count code points.
 *
 * @typedef {{groups: {label: string, score: number, start: number, end: number}[]}} Groups
 */

/**
 * @param {Model} model
 * @param {{text: string}} row
 * @returns {Promise<Groups>}
 */
export async function findTokens(model, { text }) {
  const sequence = single(model.tokenizer, text, model.limit);
  const [{ data, dims }] = await model.run([sequence]);
  const width = /** @type {number} */ (dims.at(-1));
  /** @type {{word: number, start: number, end: number, all: number[][]}[]} */
  const words = [];
  sequence.pieces.forEach((piece, index) => {
    if (!piece) return;
    const probabilities = softmax(data.slice(index * width, (index + 1) * width));
    const last = words.at(-1);
    if (last?.word === piece.word) {
      last.end = piece.end;
      last.all.push(probabilities);
    } else {
      words.push({ word: piece.word, start: piece.start, end: piece.end, all: [probabilities] });
    }
  });
  /** @type {{label: string, scores: number[], start: number, end: number}[]} */
  const groups = [];
  for (const { start, end, all } of words) {
    const mean = all[0].map((_, label) => sum(all.map((one) => one[label])) / all.length);
    const [best] = ranked(mean, 1);
    const label = model.labels[best];
    const group = groups.at(-1);
    if (group && !label.startsWith("B-") && tagOf(label) === tagOf(group.label)) {
      group.end = end;
      group.scores.push(mean[best]);
    } else {
      groups.push({ label, scores: [mean[best]], start, end });
    }
  }
  return {
    groups: groups.filter((group) => tagOf(group.label) !== "O").map(({ label, scores, start, end }) =>
      ({ label: tagOf(label), score: sum(scores) / scores.length, start, end })),
  };
}

/** What a label names, without "B-" (it begins here) or "I-" (it goes on).
 *
 * @param {string} label
 */
function tagOf(label) {
  return /^[BI]-/.test(label) ? label.slice(2) : label;
}

/** @param {number[]} values */
function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}
