/**
 * The tokenizer for tests: reads JSON from its input, one task a line, and answers each in a line.
 *
 * - `{"tokenizer": [definition, config]}`: of the tasks to come;
 * - `{"encode": [text, ...]}`: of each text ids, starts, ends and words of its pieces;
 * - `{"sequences": [kind, ...arguments]}`: ids of what the model would be given;
 * - `{"normalize": options}`: what each character becomes that does not stay as it is, and what
 *   becomes of each mark among others;
 * - `{"words": punctuation}`: the words of each character between letters, if they are not one.
 */

import { createInterface } from "node:readline";

import { Normalizer } from "../src/tokenizer/normalizer.mjs";
import { pair, single, windows } from "../src/tokenizer/sequences.mjs";
import { Tokenizer } from "../src/tokenizer/tokenizer.mjs";
import { COMBINING } from "../src/tokenizer/unicode.mjs";
import { splitWords } from "../src/tokenizer/wordpiece.mjs";

function* characters() {
  for (let code = 0; code <= 0x10ffff; code += 1) {
    if (code < 0xd800 || code > 0xdfff) yield String.fromCodePoint(code);
  }
}

const isMark = (character) => [...COMBINING.values()].some((marks) => marks.has(character));
let tokenizer;

const ANSWERS = {
  tokenizer([definition, config]) {
    tokenizer = new Tokenizer(definition, config);
    return null;
  },
  encode: (texts) => texts.map((text) => {
    const pieces = tokenizer.encode(text);
    return ["id", "start", "end", "word"].map((name) => pieces.map((piece) => piece[name]));
  }),
  sequences([kind, first, second, options]) {
    if (kind === "single") return [single(tokenizer, first, options).ids];
    if (kind === "pair") return [pair(tokenizer, first, second, options).ids];
    return windows(tokenizer, tokenizer.encode(first), tokenizer.encode(second), options)
      .map(({ ids }) => ids);
  },
  normalize(options) {
    const normalizer = new Normalizer(options);
    const changed = {};
    const note = (text) => {
      const { characters, origins } = normalizer.normalize(Array.from(text));
      const found = characters.join("");
      if (found !== text) changed[text] = [found, origins];
    };
    for (const character of characters()) {
      note(character);
      if (isMark(character)) note(`a\u302e${character}\u1b44b\u00e9`);
    }
    return changed;
  },
  words(punctuation) {
    const cut = {};
    for (const character of characters()) {
      const words = splitWords(["a", character, "b"], punctuation);
      if (words.length > 1) cut[character] = words;
    }
    return cut;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const [[name, given]] = Object.entries(JSON.parse(line));
  process.stdout.write(`${JSON.stringify(ANSWERS[name](given))}\n`);
}
