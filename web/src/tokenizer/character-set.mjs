/**
 * A set of characters, of ranges of code points.
 *
 * @typedef {{has(character: string): boolean}} CharacterSet
 */

/**
 * @param {string} text hexadecimal `first-last` ranges, both ends included, ascending
 * @returns {CharacterSet}
 */
export function characterSet(text) {
  const ranges = text.trim().split(/\s+/).map((item) => {
    const [first, last = first] = item.split("-");
    return [parseInt(first, 16), parseInt(last, 16)];
  });
  return {
    has(character) {
      const code = /** @type {number} */ (character.codePointAt(0));
      let low = 0, high = ranges.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (ranges[middle][1] < code) low = middle + 1;
        else high = middle;
      }
      return low < ranges.length && ranges[low][0] <= code;
    },
  };
}
