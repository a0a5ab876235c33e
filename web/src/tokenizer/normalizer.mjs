/**
 * BERT's text normalisation, with the origin of every character: clean, set ideographs apart,
 * decompose and drop accents, lower-case.  The same as distil/common/tokenizer/normalizer.py, which
 * explains the order of marks.
 *
 * Texts are arrays of characters (code points), as in Python, and not of UTF-16 units.
 */

import { COMBINING, CONTROLS, DECOMPOSED, IDEOGRAPHS, LOWERED, NONSPACING_MARKS, WHITE_SPACE }
  from "./unicode.mjs";

/**
 * What tokenizer.json says of a normaliser.
 *
 * @typedef {object} Options
 * @property {boolean} clean_text remove control characters, make all white space a plain space
 * @property {boolean} handle_chinese_chars put spaces around CJK ideographs
 * @property {boolean | null} strip_accents drop accents; null follows `lowercase`
 * @property {boolean} lowercase lower-case every character
 */

/**
 * A normalised text and, for each of its characters, the index of the one it comes from.
 *
 * @typedef {{characters: string[], origins: number[]}} Normalized
 */

export class Normalizer {
  /** @param {Options} options */
  constructor(options) {
    this.options = options;
    this.stripsAccents = options.strip_accents ?? options.lowercase;
    this.expand = memo((character) => this.#expanded(character));
    this.finish = memo((character) => this.#finished(character));
  }

  /**
   * @param {string[]} text
   * @returns {Normalized}
   */
  normalize(text) {
    /** @type {string[]} */
    let expanded = [];
    /** @type {number[]} */
    let origins = [];
    text.forEach((character, index) => {
      for (const one of this.expand(character)) {
        expanded.push(one);
        origins.push(index);
      }
    });
    if (this.stripsAccents) [expanded, origins] = canonicalOrder(expanded, origins);
    /** @type {Normalized} */
    const normalized = { characters: [], origins: [] };
    expanded.forEach((character, index) => {
      for (const one of this.finish(character)) {
        normalized.characters.push(one);
        normalized.origins.push(origins[index]);
      }
    });
    return normalized;
  }

  /** Clean, set apart and decompose one character.
   *
   * @param {string} character
   */
  #expanded(character) {
    const options = this.options;
    if (options.clean_text) {
      if (CONTROLS.has(character)) return "";
      if (WHITE_SPACE.has(character)) return " ";
    }
    const apart = options.handle_chinese_chars && IDEOGRAPHS.has(character);
    if (this.stripsAccents && DECOMPOSED.has(character)) character = character.normalize("NFD");
    return apart ? ` ${character} ` : character;
  }

  /** Drop an accent, or lower-case.
   *
   * @param {string} character
   */
  #finished(character) {
    if (this.stripsAccents && NONSPACING_MARKS.has(character)) return "";
    return this.options.lowercase && LOWERED.has(character) ? character.toLowerCase() : character;
  }
}

/**
 * A function from a character to characters, worked out once for each.
 *
 * @param {(character: string) => string} work
 * @returns {(character: string) => string[]}
 */
function memo(work) {
  /** @type {Map<string, string[]>} */
  const known = new Map();
  return (character) => {
    let found = known.get(character);
    if (!found) known.set(character, (found = Array.from(work(character))));
    return found;
  };
}

const combiningClass = (() => {
  /** @type {Map<string, number>} */
  const known = new Map();
  return (/** @type {string} */ character) => {
    if (character < "\u0300") return 0;
    let found = known.get(character);
    if (found === undefined) {
      const row = [...COMBINING].find(([, marks]) => marks.has(character));
      known.set(character, (found = row ? row[0] : 0));
    }
    return found;
  };
})();

/**
 * Runs of combining marks in canonical order.  The marks move, and origins are dealt out by
 * position: each character that stood for itself takes the next one in turn.
 *
 * @param {string[]} characters
 * @param {number[]} origins
 * @returns {[string[], number[]]}
 */
function canonicalOrder(characters, origins) {
  const classes = characters.map(combiningClass);
  const isOrdered = (/** @type {number} */ found, /** @type {number} */ index) =>
    index === 0 || found === 0 || classes[index - 1] <= found;
  if (classes.every(isOrdered)) return [characters, origins];

  const isAdded = origins.map((origin, index) => index > 0 && origin === origins[index - 1]);
  const sources = origins.filter((_, index) => !isAdded[index]);
  /** @type {number[]} */
  const order = [];
  /** @type {number[]} */
  let run = [];
  [...classes, 0].forEach((found, index) => {
    if (found !== 0) {
      run.push(index);
      return;
    }
    order.push(...run.sort((one, other) => classes[one] - classes[other]));
    if (index < characters.length) order.push(index);
    run = [];
  });
  let position = -1;
  const ordered = order.map((index) => {
    if (!isAdded[index]) position += 1;
    return sources[Math.max(position, 0)];
  });
  return [order.map((index) => characters[index]), ordered];
}
