/** The part of a context that answers a question, as distil/pipelines/answering.py finds it. */

import { windows } from "../tokenizer/sequences.mjs";
import { ranked, softmax } from "./probabilities.mjs";

/** @import { Model } from "../model.mjs" */
/** @import { Sequence } from "../tokenizer/sequences.mjs" */

/** Tokens of a window, that windows share, of a question, of an answer; places to look at. */
const WINDOW = 384, SHARED = 128, QUESTION = 64, ANSWER = 15, CANDIDATES = 12;

/** @typedef {{question: string, context: string}} Question */

/**
 * Start and end count code points of the context.
 *
 * @typedef {{score: number, start: number, end: number, answer: string}} Answer
 */

/** @typedef {{answer: Answer | null}} Answered */

/**
 * @param {Model} model
 * @param {Question} row
 * @returns {Promise<Answered>}
 */
export async function answer(model, { question, context }) {
  const { tokenizer } = model;
  const limit = Math.min(model.limit, WINDOW);
  const asked = tokenizer.encode(question).slice(0, QUESTION);
  const pieces = tokenizer.encode(context);
  const room = limit - 3 - asked.length;
  if (!pieces.length || room < 1) return { answer: null };
  const wanted = Math.min(Math.floor(limit / 2), SHARED);
  const shared = wanted < room ? wanted : Math.floor(room / 2);
  const characters = Array.from(context);
  /** @type {Map<string, Answer>} */
  const answers = new Map();
  for (const sequence of windows(tokenizer, asked, pieces, { limit, shared })) {
    const [starts, ends] = await model.run([sequence]);
    for (const { first, last, score } of bestSpans(sequence, starts.data, ends.data)) {
      const { start, end } = wholeWords(sequence, first, last);
      const text = characters.slice(start, end).join("");
      const known = answers.get(text.toLowerCase());
      // Equal answers of several places are one, with the sum of their scores.
      if (known) known.score += score;
      else answers.set(text.toLowerCase(), { score, start, end, answer: text });
    }
  }
  const [best] = [...answers.values()].sort((one, other) => other.score - one.score);
  return { answer: best ?? null };
}

/**
 * The likeliest stretches of a window's context.  Probabilities are over its tokens and [CLS], which
 * stands for there being no answer.
 *
 * @param {Sequence} sequence
 * @param {Float32Array} startScores
 * @param {Float32Array} endScores
 */
function bestSpans({ pieces, second }, startScores, endScores) {
  const count = pieces.length - 1 - second;
  const [starts, ends] = [startScores, endScores].map((scores) =>
    softmax([scores[0], ...scores.slice(second, second + count)]).slice(1));
  /** @type {{first: number, last: number, score: number}[]} */
  const spans = [];
  for (let first = 0; first < count; first += 1) {
    for (let last = first; last < Math.min(count, first + ANSWER); last += 1) {
      spans.push({ first: second + first, last: second + last, score: starts[first] * ends[last] });
    }
  }
  return ranked(spans.map((span) => span.score), CANDIDATES).map((number) => spans[number]);
}

/**
 * The characters of a stretch of tokens, once it is made of whole words.
 *
 * @param {Sequence} sequence
 * @param {number} first
 * @param {number} last
 */
function wholeWords({ pieces, second }, first, last) {
  const wordOf = (/** @type {number} */ index) => pieces[index]?.word;
  while (first > second && wordOf(first - 1) === wordOf(first)) first -= 1;
  while (wordOf(last + 1) === wordOf(last)) last += 1;
  return {
    start: /** @type {import("../tokenizer/tokenizer.mjs").Piece} */ (pieces[first]).start,
    end: /** @type {import("../tokenizer/tokenizer.mjs").Piece} */ (pieces[last]).end,
  };
}
