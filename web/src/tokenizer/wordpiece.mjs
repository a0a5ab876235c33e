/**
 * Words and word pieces, as in distil/common/tokenizer/wordpiece.py.
 */

import { PUNCTUATION, WHITE_SPACE } from "./unicode.mjs";

const SPACE = 1, SIGN = 2;

/** @type {Map<string, number>} */
const kinds = new Map();

/** @param {string} character */
function kindOf(character) {
  let kind = kinds.get(character);
  if (kind === undefined) {
    kind = PUNCTUATION.has(character) ? SIGN : WHITE_SPACE.has(character) ? SPACE : 0;
    kinds.set(character, kind);
  }
  return kind;
}

/**
 * The words of a normalised text, as first index and that after the last character.
 *
 * @param {string[]} text
 * @param {boolean} punctuation whether each punctuation character is a word of its own
 * @returns {[number, number][]}
 */
export function splitWords(text, punctuation) {
  /** @type {[number, number][]} */
  const words = [];
  let start = 0;
  for (let index = 0; index <= text.length; index += 1) {
    const kind = index < text.length ? kindOf(text[index]) : SPACE;
    if (kind === 0 || (kind === SIGN && !punctuation)) continue;
    if (start < index) words.push([start, index]);
    if (kind === SIGN) words.push([index, index + 1]);
    start = index + 1;
  }
  return words;
}

/**
 * The pieces of one word: ids, tokens, and where each token ends in the word.
 *
 * @typedef {{ids: number[], tokens: string[], ends: number[]}} WordPieces
 */

// Words met are remembered up to this many.
const MEMORY = 1 << 16;

/** Cuts a word into the longest pieces that the vocabulary has, from left to right. */
export class WordPiece {
  /**
   * @param {Map<string, number>} vocabulary
   * @param {{unknown: string, prefix: string, longestWord: number}} options
   */
  constructor(vocabulary, { unknown, prefix, longestWord }) {
    this.vocabulary = vocabulary;
    this.unknown = unknown;
    this.prefix = prefix;
    this.longestWord = longestWord;
    /** @type {Map<string, WordPieces>} */
    this.memory = new Map();
  }

  /**
   * @param {string[]} word not empty
   * @returns {WordPieces}
   */
  cut(word) {
    const text = word.join("");
    let pieces = this.memory.get(text);
    if (!pieces) {
      pieces = this.#longestFirst(word);
      if (this.memory.size >= MEMORY) this.memory.clear();
      this.memory.set(text, pieces);
    }
    return pieces;
  }

  /**
   * @param {string[]} word
   * @returns {WordPieces}
   */
  #longestFirst(word) {
    const unknown = {
      ids: [/** @type {number} */ (this.vocabulary.get(this.unknown))],
      tokens: [this.unknown],
      ends: [word.length],
    };
    if (word.length > this.longestWord) return unknown;
    /** @type {WordPieces} */
    const pieces = { ids: [], tokens: [], ends: [] };
    for (let start = 0; start < word.length; ) {
      let end = word.length, token = "", id;
      for (; end > start; end -= 1) {
        token = (start ? this.prefix : "") + word.slice(start, end).join("");
        id = this.vocabulary.get(token);
        if (id !== undefined) break;
      }
      if (id === undefined) return unknown;
      pieces.ids.push(id);
      pieces.tokens.push(token);
      pieces.ends.push(end);
      start = end;
    }
    return pieces;
  }
}
