/**
 * DistilBERT's tokenizer: the same pieces as the library's, for every text.
 */

import { Matcher } from "./added-tokens.mjs";
import { Normalizer } from "./normalizer.mjs";
import { splitWords, WordPiece } from "./wordpiece.mjs";

/** @import { AddedToken } from "./added-tokens.mjs" */
/** @import { Normalized } from "./normalizer.mjs" */

/**
 * A piece of a text.
 *
 * @typedef {object} Piece
 * @property {number} id
 * @property {string} token
 * @property {number} start its first character in the text, counted in code points
 * @property {number} end the character after its last
 * @property {number} word which word of the text it belongs to
 */

export class Tokenizer {
  /**
   * @param {any} definition the content of tokenizer.json, as the library writes it
   * @param {any} config the content of tokenizer_config.json
   */
  constructor(definition, config) {
    const { model, normalizer, pre_tokenizer, post_processor, added_tokens } = definition;
    this.basic = pre_tokenizer.type === "BertPreTokenizer";
    this.normalizer = this.basic ? new Normalizer(normalizer) : null;
    /** @type {Map<string, number>} */
    this.vocabulary = new Map(Object.entries(model.vocab));
    this.prefix = model.continuing_subword_prefix;
    this.wordPiece = new WordPiece(this.vocabulary, {
      unknown: model.unk_token, prefix: this.prefix, longestWord: model.max_input_chars_per_word,
    });
    /** @type {AddedToken[]} */
    const added = added_tokens;
    this.addedIds = new Map(added.map((token) => [token.content, token.id]));
    /** Tokens by id.
     *
     * @type {string[]}
     */
    this.tokens = [];
    for (const table of [this.vocabulary, this.addedIds]) {
      for (const [token, id] of table) this.tokens[id] = token;
    }
    const [cls, sep] = post_processor.single.flatMap((/** @type {any} */ part) =>
      part.SpecialToken ? post_processor.special_tokens[part.SpecialToken.id].ids : []);
    this.cls = cls;
    this.sep = sep;
    this.unknown = model.unk_token;
    this.mask = nameOf(config.mask_token);
    this.limit = config.model_max_length ?? Infinity;
    this.truncationSide = config.truncation_side ?? "right";
    this.cleansUp = config.clean_up_tokenization_spaces ?? true;

    /** @type {string[]} */
    const kept = (this.basic && config.never_split) || [];
    this.kept = new Matcher(new Map(kept.map((word) => [word, { content: word }])), true);
    const sought = added.filter((token) => !(token.special && config.split_special_tokens));
    this.plain = new Matcher(new Map(
      sought.filter((token) => !token.normalized).map((token) => [token.content, token])));
    /** @type {Map<string, AddedToken>} */
    const normalized = new Map();
    // Of two that look alike a special one wins, else the first.
    for (const token of [...sought].sort((one, other) => +other.special - +one.special)) {
      if (!token.normalized) continue;
      const content = this.#normalize(Array.from(token.content)).characters.join("");
      if (!normalized.has(content)) normalized.set(content, token);
    }
    this.normalized = new Matcher(normalized);
  }

  /** The id of a token that may be an added one; undefined if it is neither.
   *
   * @param {string} token
   */
  idOf(token) {
    return this.addedIds.get(token) ?? this.vocabulary.get(token);
  }

  /**
   * The pieces of a text, without special tokens around it.
   *
   * @param {string} text a lone surrogate in it counts as U+FFFD
   * @returns {Piece[]}
   */
  encode(text) {
    /** @type {Piece[]} */
    const pieces = [];
    let words = 0;
    const characters = Array.from(wellFormed(text));
    const add = (/** @type {import("./wordpiece.mjs").WordPieces} */ { ids, tokens, ends },
      /** @type {number} */ start, /** @type {(index: number) => number} */ originOf) => {
      let begin = start;
      ids.forEach((id, index) => {
        const stop = start + ends[index];
        pieces.push({ id, token: tokens[index], start: originOf(begin),
          end: originOf(stop - 1) + 1, word: words });
        begin = stop;
      });
      words += 1;
    };
    for (const { start, stop, token } of this.#asWritten(characters)) {
      if (token) {
        add(this.#token(token.content, characters.slice(start, stop)), start, (index) => index);
        continue;
      }
      const { characters: found, origins } = this.#normalize(characters.slice(start, stop));
      const originOf = (/** @type {number} */ index) => origins[index] + start;
      for (const inner of this.normalized.split(found)) {
        const part = found.slice(inner.start, inner.stop);
        if (inner.token) {
          add(this.#token(inner.token.content, part), inner.start, originOf);
          continue;
        }
        for (const [first, last] of splitWords(part, this.basic)) {
          add(this.wordPiece.cut(part.slice(first, last)), inner.start + first, originOf);
        }
      }
    }
    return pieces;
  }

  /** Cut a text at what is looked for before normalising.
   *
   * @param {string[]} text
   */
  *#asWritten(text) {
    for (const match of this.plain.split(text)) {
      if (match.token) {
        yield match;
        continue;
      }
      for (const { start, stop, token } of this.kept.split(text.slice(match.start, match.stop))) {
        yield { start: match.start + start, stop: match.start + stop, token };
      }
    }
  }

  /**
   * @param {string[]} text
   * @returns {Normalized}
   */
  #normalize(text) {
    if (this.normalizer) return this.normalizer.normalize(text);
    return { characters: text, origins: text.map((_, index) => index) };
  }

  /**
   * An added token, or a word never split, as it stands in the text.
   *
   * @param {string} content
   * @param {string[]} found
   */
  #token(content, found) {
    const id = /** @type {number} */ (this.idOf(content) ?? this.idOf(this.unknown));
    return { ids: [id], tokens: [found.join("")], ends: [found.length] };
  }
}

/** The text of a special token as a configuration names it.
 *
 * @param {any} token
 * @returns {string | undefined}
 */
function nameOf(token) {
  return token && (token.content ?? token);
}

/** @param {string} text */
function wellFormed(text) {
  return text.replace(/\p{Surrogate}/gu, "\ufffd");
}
