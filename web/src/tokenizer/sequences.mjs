/**
 * What the model is given: pieces framed by special tokens, and cut to what it takes.  The rules of
 * cutting are those of distil/common/tokenizer/truncation.py.
 */

/** @import { Piece, Tokenizer } from "./tokenizer.mjs" */

/**
 * A sequence of tokens.
 *
 * @typedef {object} Sequence
 * @property {number[]} ids
 * @property {(Piece | null)[]} pieces as many; null for special tokens
 * @property {number} second where the pieces of the second text begin
 * @property {boolean} cut whether not all of the text is in it
 */

/**
 * `[CLS] A [SEP]`.
 *
 * @param {Tokenizer} tokenizer
 * @param {string} text
 * @param {number} limit tokens that the model takes
 * @returns {Sequence}
 */
export function single(tokenizer, text, limit) {
  const pieces = tokenizer.encode(text);
  const kept = within(tokenizer, pieces, limit - 2);
  return framed(tokenizer, kept, null, kept.length < pieces.length);
}

/**
 * `[CLS] A [SEP] B [SEP]`; the longer text is cut first.
 *
 * @param {Tokenizer} tokenizer
 * @param {string} first
 * @param {string} second
 * @param {number} limit tokens that the model takes
 * @returns {Sequence}
 */
export function pair(tokenizer, first, second, limit) {
  const [one, other] = [first, second].map((text) => tokenizer.encode(text));
  const room = limit - 3;
  let [a, b] = [one.length, other.length];
  if (a + b > room) {
    let shorter = Math.min(a, b), longer = Math.max(shorter, room - shorter);
    if (shorter + longer > room) {
      shorter = Math.floor(room / 2);
      longer = shorter + (room % 2);
    }
    // Of two equally long texts the second gets the odd piece.
    [a, b] = one.length > other.length ? [longer, shorter] : [shorter, longer];
  }
  return framed(tokenizer, within(tokenizer, one, a), within(tokenizer, other, b),
    one.length + other.length > room);
}

/**
 * A question with all of a context, in as many windows as that takes.
 *
 * @param {Tokenizer} tokenizer
 * @param {Piece[]} question
 * @param {Piece[]} context
 * @param {{limit: number, shared: number}} options tokens of a window, and how many two share of
 *   the context
 * @returns {Sequence[]}
 */
export function windows(tokenizer, question, context, { limit, shared }) {
  const room = limit - 3 - question.length;
  const parts = [];
  for (let start = 0; ; start += room - shared) {
    parts.push([start, Math.min(start + room, context.length)]);
    if (start + room >= context.length) break;
  }
  const total = context.length;
  return parts.map(([start, stop]) => {
    if (tokenizer.truncationSide === "left") [start, stop] = [total - stop, total - start];
    return framed(tokenizer, question, context.slice(start, stop), false);
  });
}

/**
 * @param {Tokenizer} tokenizer
 * @param {Piece[]} pieces
 * @param {number} count
 */
function within(tokenizer, pieces, count) {
  if (pieces.length <= count) return pieces;
  return tokenizer.truncationSide === "left" ? pieces.slice(pieces.length - count)
    : pieces.slice(0, count);
}

/**
 * @param {Tokenizer} tokenizer
 * @param {Piece[]} first
 * @param {Piece[] | null} second
 * @param {boolean} cut
 * @returns {Sequence}
 */
function framed({ cls, sep }, first, second, cut) {
  const idsOf = (/** @type {Piece[]} */ pieces) => pieces.map((piece) => piece.id);
  return {
    ids: [cls, ...idsOf(first), sep, ...(second ? [...idsOf(second), sep] : [])],
    pieces: [null, ...first, null, ...(second ? [...second, null] : [])],
    second: first.length + 2,
    cut,
  };
}
