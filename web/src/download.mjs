/**
 * Large files: fetched once with a report of the progress, then kept where the service worker finds
 * them, too.
 */

/** The files' store.
 *
 * @param {string} version of the page
 * @returns {Promise<Cache | null>} null where the browser has none: addresses without https
 */
export async function openStore(version) {
  if (!("caches" in globalThis)) return null;
  return caches.open(`distil ${new URL("./", import.meta.url)} ${version}`);
}

/**
 * @param {string} path beside this file
 * @param {string} version of the page
 * @param {Cache | null} store
 * @param {number | null} size of the file in bytes, if it is known
 * @param {(bytes: number) => void} tell called with the bytes of each part that has come
 * @returns {Promise<{bytes: Uint8Array<ArrayBuffer>, isKept: boolean}>} unpacked, if its name ends in .gz
 */
export async function download(path, version, store, size, tell) {
  const url = new URL(path, import.meta.url).href;
  const known = await store?.match(url);
  // The service worker of an older version must not answer.
  const response = known ?? await fetch(`${url}?version=${version}`);
  if (!response.ok || !response.body) {
    throw new Error(`${path} cannot be loaded: ${response.status} ${response.statusText}`);
  }
  const parts = [];
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    tell(value.length);
  }
  const blob = new Blob(parts);
  // Kept as it is, it would come back at every visit, even when the host has been mended.
  if (size !== null && blob.size !== size) {
    throw new Error(`${path} is damaged: ${blob.size} bytes instead of ${size}. Export the page again.`);
  }
  let isKept = Boolean(known);
  if (store && !known) {
    // A store that is full only means that the page will not work offline.
    isKept = await store.put(url, new Response(blob)).then(() => true, () => false);
  }
  const bytes = new Uint8Array(await blob.arrayBuffer());
  // Some hosts say that such a file is packed, and then the browser has unpacked it.
  const isPacked = path.endsWith(".gz") && bytes[0] === 0x1f && bytes[1] === 0x8b;
  return { bytes: isPacked ? await unpacked(blob) : bytes, isKept };
}

/** @param {Blob} blob */
async function unpacked(blob) {
  const stream = blob.stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}
