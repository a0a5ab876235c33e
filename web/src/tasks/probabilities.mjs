/**
 * From scores to probabilities, without overflow.
 */

/**
 * @param {ArrayLike<number>} scores
 * @returns {number[]} what sums to one
 */
export function softmax(scores) {
  const values = Array.from(scores);
  const highest = values.reduce((most, value) => Math.max(most, value), -Infinity);
  const powers = values.map((value) => Math.exp(value - highest));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

/**
 * @param {ArrayLike<number>} scores
 * @returns {number[]} probabilities of each by itself
 */
export function sigmoid(scores) {
  return Array.from(scores, (score) =>
    score < 0 ? Math.exp(score) / (1 + Math.exp(score)) : 1 / (1 + Math.exp(-score)));
}

/**
 * The numbers of the highest values, highest first; of equal ones the first.
 *
 * @param {ArrayLike<number>} values
 * @param {number} [count]
 * @returns {number[]}
 */
export function ranked(values, count = values.length) {
  const order = Array.from(values, (_, index) => index);
  return order.sort((one, other) => values[other] - values[one] || one - other).slice(0, count);
}
