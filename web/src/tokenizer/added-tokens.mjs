/**
 * Tokens that are looked for in the text itself, as in distil/common/tokenizer/added_tokens.py:
 * where several fit, the leftmost, then the longest.
 */

import { WHITE_SPACE } from "./unicode.mjs";

/**
 * As tokenizer.json has it.
 *
 * @typedef {object} AddedToken
 * @property {number} id
 * @property {string} content
 * @property {boolean} single_word matches only where no letter, digit or mark touches it
 * @property {boolean} lstrip takes the white space on its left with it
 * @property {boolean} rstrip takes the white space on its right with it
 * @property {boolean} normalized is looked for in the normalised text
 * @property {boolean} special
 */

/**
 * A stretch of text; `token` is null between added tokens.
 *
 * @template Token
 * @typedef {{start: number, stop: number, token: Token | null}} Match
 */

/** @typedef {{content: string, single_word?: boolean, lstrip?: boolean, rstrip?: boolean}} Rules */

const WORD_CHARACTER =
  /[\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\u200c\u200d\u24b6-\u24e9\u{1f130}-\u{1f149}\u{1f150}-\u{1f169}\u{1f170}-\u{1f189}]/u;

/**
 * Finds added tokens in a text.
 *
 * @template {Rules} Token
 */
export class Matcher {
  /**
   * @param {Map<string, Token>} tokens what to look for, and the token that each stands for
   * @param {boolean} betweenSpaces whether white space, or nothing, must be on both sides
   */
  constructor(tokens, betweenSpaces = false) {
    this.betweenSpaces = betweenSpaces;
    /** @type {Map<string, {characters: string[], token: Token}[]>} */
    this.byFirst = new Map();
    for (const [content, token] of tokens) {
      const characters = Array.from(content);
      const list = this.byFirst.get(characters[0]) ?? [];
      this.byFirst.set(characters[0], list);
      list.push({ characters, token });
      list.sort((one, other) => other.characters.length - one.characters.length);
    }
  }

  /**
   * Cut a text at the added tokens in it, into stretches that are not empty.
   *
   * @param {string[]} text
   * @returns {Generator<Match<Token>>}
   */
  *split(text) {
    let done = 0;
    for (let index = 0; index < text.length; ) {
      const found = this.#at(text, index);
      if (!found) {
        index += 1;
        continue;
      }
      let start = index, stop = index + found.characters.length;
      index = stop;
      const { token } = found;
      if (token.single_word && (isWord(text[start - 1]) || isWord(text[stop]))) continue;
      if (token.lstrip) while (start > done && WHITE_SPACE.has(text[start - 1])) start -= 1;
      if (token.rstrip) while (stop < text.length && WHITE_SPACE.has(text[stop])) stop += 1;
      if (done < start) yield { start: done, stop: start, token: null };
      yield { start, stop, token };
      done = stop;
    }
    if (done < text.length) yield { start: done, stop: text.length, token: null };
  }

  /**
   * @param {string[]} text
   * @param {number} index
   */
  #at(text, index) {
    return this.byFirst.get(text[index])?.find(({ characters }) =>
      characters.every((character, place) => text[index + place] === character)
      && !(this.betweenSpaces
        && (isSolid(text[index - 1]) || isSolid(text[index + characters.length]))));
  }
}

/** @param {string | undefined} character */
function isWord(character) {
  return character !== undefined && WORD_CHARACTER.test(character);
}

/** @param {string | undefined} character */
function isSolid(character) {
  return character !== undefined && !WHITE_SPACE.has(character);
}
