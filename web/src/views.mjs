/**
 * What the page asks for and shows, by task.
 */

/** @import { Answered, Question } from "./tasks/answers.mjs" */
/** @import { Choices, Prompt } from "./tasks/choices.mjs" */
/** @import { Labels } from "./tasks/classification.mjs" */
/** @import { Nearest, Query } from "./tasks/embeddings.mjs" */
/** @import { Guesses } from "./tasks/masks.mjs" */
/** @import { Groups } from "./tasks/tokens.mjs" */

/**
 * A text to be typed.
 *
 * @typedef {object} Field
 * @property {string} name
 * @property {string} label
 * @property {string} value to begin with
 * @property {number} lines
 * @property {string} [hint]
 */

/**
 * @template Row, Result
 * @typedef {object} View
 * @property {string} what the model does
 * @property {Field[]} fields
 * @property {(values: Record<string, string>) => Row[]} rows for the worker, of the fields by name;
 *   none if there is nothing to ask yet
 * @property {(results: Result[], rows: Row[], place: HTMLElement) => string} show what was found,
 *   and say it in a line
 * @property {string} file what a file is for
 * @property {string} [fileField] the field that a file fills; without, each line is a text
 * @property {string[]} [columns] of the table of a file
 * @property {(result: Result, row: Row) => string[]} [cells] of a line in these
 */

/** @typedef {{text: string}} Text */

const percent = (/** @type {number} */ score) => `${(100 * score).toFixed(1)}%`;
const plain = (/** @type {number} */ score) => score.toFixed(3);
const linesOf = (/** @type {string} */ text) => text.split("\n").map((line) => line.trim()).filter(Boolean);
const textRow = (/** @type {Record<string, string>} */ { text }) => (text.trim() ? [{ text }] : []);

const LINES = "Each line of a text file as a text";
const SHOWN_NEIGHBOURS = 10;

/** @type {View<Text, Labels>} */
const classification = {
  what: "Labels a text as you type.",
  fields: [{ name: "text", label: "Text", value: "A joy from start to end.", lines: 3 }],
  rows: textRow,
  show([{ labels }], _, place) {
    place.replaceChildren(bars(labels.map(({ label, score }) => [label, score])));
    return `${labels[0].label}, ${scoreText(labels[0].score)}`;
  },
  file: LINES,
  columns: ["label", "score"],
  cells: ({ labels: [{ label, score }] }) => [label, score.toFixed(4)],
};

/** @type {View<Text, Groups>} */
const tokens = {
  what: "Marks what words name as you type.",
  fields: [{
    name: "text", label: "Text", lines: 3,
    value: "Ada Lovelace met Charles Babbage in London, and wrote to the Royal Society.",
  }],
  rows: textRow,
  show([{ groups }], [{ text }], place) {
    place.replaceChildren(marked(text, groups));
    return groups.length === 1 ? "1 found" : `${groups.length} found`;
  },
  file: LINES,
  columns: ["found"],
  cells: ({ groups }, { text }) => {
    const characters = Array.from(text);
    return [groups.map(({ label, start, end }) =>
      `${characters.slice(start, end).join("")} (${label})`).join(", ")];
  },
};

/** @type {View<Question, Answered>} */
const answers = {
  what: "Answers questions from a passage as you type.",
  fields: [
    {
      name: "context", label: "Passage", lines: 8,
      value: "DistilBERT was presented by Hugging Face in 2019. It has half as many layers as BERT, "
        + "which makes it 60% faster, and keeps 97% of what BERT understands. To show that it "
        + "runs on a phone, its authors built a question answering application for the iPhone 7 "
        + "Plus; the whole model weighs 207 megabytes.",
    },
    {
      name: "questions", label: "Questions", lines: 3, hint: "One a line.",
      value: "Who presented DistilBERT?\nHow much faster is it?\nWhich phone was it shown on?",
    },
  ],
  rows: ({ context, questions }) => (context.trim() ? linesOf(questions) : [])
    .map((question) => ({ question, context })),
  show: showAnswers,
  file: "A text file as the passage",
  fileField: "context",
};

/** @type {View<Text, Guesses>} */
const masks = {
  what: "Guesses what stands behind [MASK] as you type.",
  fields: [{
    name: "text", label: "Text", value: "The capital of France is [MASK].", lines: 3,
    hint: "Put [MASK] where a word is to be guessed.",
  }],
  rows: textRow,
  show([{ masks }], _, place) {
    if (!masks.length) {
      place.replaceChildren();
      return "There is no [MASK] in the text.";
    }
    place.replaceChildren(...masks.map((guesses) =>
      bars(guesses.map(({ word, score }) => [word, score]))));
    return masks.map(([{ word }]) => word).join(", ");
  },
  file: LINES,
  columns: ["words"],
  cells: ({ masks }) => [masks.map((guesses) => guesses.map(({ word }) => word).join(", ")).join("; ")],
};

/** @type {View<Prompt, Choices>} */
const choices = {
  what: "Chooses how a text goes on as you type.",
  fields: [
    { name: "prompt", label: "Beginning", value: "She opened the umbrella because", lines: 2 },
    {
      name: "choices", label: "Choices", lines: 4, hint: "One a line, at least two.",
      value: "it had begun to rain.\nthe soup was too hot.\nhe could not find his keys.",
    },
  ],
  rows({ prompt, choices }) {
    const found = linesOf(choices);
    return prompt.trim() && found.length > 1 ? [{ prompt, choices: found }] : [];
  },
  show([{ choices }], _, place) {
    place.replaceChildren(bars(choices.map(({ choice, score }) => [choice, score])));
    return `${choices[0].choice} ${percent(choices[0].score)}`;
  },
  file: "A text file with a choice a line",
  fileField: "choices",
};

/** @type {View<Query, Nearest>} */
const embeddings = {
  what: "Finds the sentences nearest in meaning as you type.",
  fields: [
    { name: "text", label: "Look for", value: "Someone is having a meal.", lines: 2 },
    {
      name: "sentences", label: "Among", lines: 6, hint: "One sentence a line.",
      value: "A man is eating pasta.\nThe stock market fell today.\nA child plays the violin.\n"
        + "Two dogs run through the snow.\nShe reads the newspaper at breakfast.",
    },
  ],
  rows({ text, sentences }) {
    const found = linesOf(sentences);
    return text.trim() && found.length ? [{ text, sentences: found }] : [];
  },
  show([{ nearest }], _, place) {
    const shown = nearest.slice(0, SHOWN_NEIGHBOURS);
    place.replaceChildren(bars(shown.map(({ sentence, score }) => [sentence, score]), plain));
    return `nearest of ${nearest.length}, by cosine`;
  },
  file: "A text file with a sentence a line",
  fileField: "sentences",
};

/** @type {Record<string, View<any, any>>} */
export const VIEWS = {
  "sequence-classification": classification,
  "token-classification": tokens,
  "question-answering": answers,
  "masked-lm": masks,
  "multiple-choice": choices,
  "base": embeddings,
};

/** A score in words: of a regression it is no share.
 *
 * @param {number} score
 */
function scoreText(score) {
  return score >= 0 && score <= 1 ? percent(score) : plain(score);
}

/**
 * A list, each item with a bar as long as its score.
 *
 * @param {[string, number][]} items
 * @param {(score: number) => string} write
 */
function bars(items, write = scoreText) {
  return element("ol", { className: "bars" }, ...items.map(([name, score]) => {
    const bar = element("span", { className: "bar" });
    bar.ariaHidden = "true";
    bar.style.width = `${100 * Math.min(1, Math.max(0, score))}%`;
    return element("li", {}, bar, element("span", {}, name),
      element("span", { className: "score" }, write(score)));
  }));
}

/**
 * A text with what was found in it marked and named.
 *
 * @param {string} text
 * @param {{start: number, end: number, label?: string}[]} spans ascending, in code points
 */
function marked(text, spans) {
  const characters = Array.from(text);
  const part = (/** @type {number} */ start, /** @type {number} */ end) => characters.slice(start, end).join("");
  /** @type {(Node | string)[]} */
  const parts = [];
  let done = 0;
  for (const { start, end, label } of spans) {
    const mark = element("mark", {}, part(start, end));
    if (label) {
      mark.className = "tag";
      mark.style.setProperty("--hue", String(hueOf(label)));
      mark.append(element("small", {}, label));
    }
    parts.push(part(done, start), mark);
    done = end;
  }
  return element("p", { className: "text" }, ...parts, part(done, characters.length));
}

/** The same colour for a label wherever it stands.
 *
 * @param {string} label
 */
function hueOf(label) {
  return Array.from(label).reduce((hue, character) => (hue * 31 + character.charCodeAt(0)) % 360, 7);
}

/**
 * Answers as buttons; the chosen one is marked in the passage.
 *
 * @param {Answered[]} results
 * @param {Question[]} rows
 * @param {HTMLElement} place
 */
function showAnswers(results, rows, place) {
  const { context } = rows[0];
  const before = Number(place.querySelector('[aria-pressed="true"]')?.getAttribute("data-number") ?? 0);
  const chosen = before < rows.length ? before : 0;
  const passage = element("div", {});
  const buttons = results.map(({ answer }, number) => {
    const button = element("button", { type: "button" },
      element("span", { className: "score" }, answer ? percent(answer.score) : ""),
      element("small", {}, rows[number].question), answer?.answer ?? "no answer");
    button.dataset.number = String(number);
    button.addEventListener("click", () => choose(number));
    return button;
  });
  const choose = (/** @type {number} */ number) => {
    buttons.forEach((button, other) => { button.ariaPressed = String(other === number); });
    const { answer } = results[number];
    passage.replaceChildren(marked(context, answer ? [answer] : []));
  };
  const focused = document.activeElement?.closest("[data-number]")?.getAttribute("data-number");
  place.replaceChildren(
    element("ul", { className: "answers" }, ...buttons.map((button) => element("li", {}, button))),
    passage);
  choose(chosen);
  if (focused) buttons[Number(focused)]?.focus();
  return results[chosen].answer?.answer ?? "no answer";
}

/**
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {Partial<HTMLElementTagNameMap[Name]>} properties
 * @param {...(Node | string)} children
 * @returns {HTMLElementTagNameMap[Name]}
 */
export function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}
