/**
 * From tokens back to text, as in distil/common/tokenizer/decoding.py.
 */

/** English as it is written, in this order. */
const CLEAN_UP = [
  [" .", "."], [" ?", "?"], [" !", "!"], [" ,", ","], [" ' ", "'"], [" n't", "n't"],
  [" 'm", "'m"], [" 's", "'s"], [" 've", "'ve"], [" 're", "'re"],
];

/**
 * Join pieces to text: those of a word, which start with `prefix`; spaces between words.
 *
 * @param {string[]} tokens
 * @param {string} prefix
 */
export function join(tokens, prefix) {
  return tokens.map((token, index) => {
    if (!index) return token;
    return token.startsWith(prefix) ? token.slice(prefix.length) : ` ${token}`;
  }).join("");
}

/**
 * Remove the spaces before punctuation and English contractions.
 *
 * @param {string} text
 */
export function cleanUp(text) {
  return CLEAN_UP.reduce((done, [apart, together]) => done.replaceAll(apart, together), text);
}
