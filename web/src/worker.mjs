/**
 * Tokenizes and computes beside the page, which stays free to be typed in.
 *
 * Takes `{load: {page, wishes}}`, then `{id, rows}`; gives `{progress}`, `{facts}`,
 * `{id, results, tokens, milliseconds, limit}` or `{id, error}`; a limit where a text was cut at it.
 */

import { Model } from "./model.mjs";
import { answer } from "./tasks/answers.mjs";
import { choose } from "./tasks/choices.mjs";
import { classify } from "./tasks/classification.mjs";
import { findNearest } from "./tasks/embeddings.mjs";
import { fillMasks } from "./tasks/masks.mjs";
import { findTokens } from "./tasks/tokens.mjs";

/** @type {Record<string, (model: Model, row: any) => Promise<any>>} */
const TASKS = {
  "base": findNearest,
  "masked-lm": fillMasks,
  "multiple-choice": choose,
  "question-answering": answer,
  "sequence-classification": classify,
  "token-classification": findTokens,
};

/** @type {Model} */
let model;

self.addEventListener("message", async ({ data }) => {
  try {
    if (data.load) {
      const { page, wishes } = data.load;
      model = await Model.load(page, wishes, (progress) => self.postMessage({ progress }));
      self.postMessage({ facts: model.facts });
      return;
    }
    const begin = performance.now();
    model.tokens = 0;
    model.hasCut = false;
    const results = [];
    for (const row of data.rows) results.push(await TASKS[model.page.task](model, row));
    self.postMessage({
      id: data.id, results, tokens: model.tokens, milliseconds: performance.now() - begin,
      limit: model.hasCut ? model.limit : null,
    });
  } catch (error) {
    self.postMessage({ id: data.id, error: String(error instanceof Error ? error.message : error) });
  }
});
