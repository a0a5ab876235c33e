/**
 * The page: takes texts, has the worker compute, shows what it finds.
 *
 * Of what is typed meanwhile only the latest is computed.  `?device=wasm` or `webgpu` and
 * `?threads=1` in the address choose what computes.
 */

import { fileTable } from "./file-table.mjs";
import { element, VIEWS } from "./views.mjs";

/** @import { Page } from "./model.mjs" */

const by = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));
const megabytes = (/** @type {number} */ bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

/** @param {unknown} error */
function complain(error) {
  by("problem").textContent = String(error instanceof Error ? error.message : error);
  by("problem").hidden = false;
  by("loading").hidden = true;
}

/** Facts of the page, by name; each is shown once it is known.
 *
 * @param {Record<string, string>} facts
 */
function tell(facts) {
  for (const [name, value] of Object.entries(facts)) {
    const id = `fact-${name.replaceAll(" ", "-")}`;
    let place = document.getElementById(id);
    if (!place) {
      place = element("dd", { id });
      by("facts").append(element("div", {}, element("dt", {}, name), place));
    }
    place.textContent = value;
  }
}

/**
 * The worker as a function: rows in, results out.
 *
 * @param {Worker} worker
 */
function asker(worker) {
  /** @type {Map<number, {resolve(value: any): void, reject(error: Error): void}>} */
  const waiting = new Map();
  let last = 0;
  worker.addEventListener("message", ({ data }) => {
    const one = waiting.get(data.id);
    waiting.delete(data.id);
    if (data.error) one?.reject(new Error(data.error));
    else one?.resolve(data);
  });
  return (/** @type {any[]} */ rows) => new Promise((resolve, reject) => {
    last += 1;
    waiting.set(last, { resolve, reject });
    worker.postMessage({ id: last, rows });
  });
}

/**
 * @param {Page} page
 * @param {Worker} worker
 * @returns {Promise<any>} what the worker says of the model
 */
function load(page, worker) {
  const address = new URLSearchParams(location.search);
  const threads = Number(address.get("threads")) || null;
  const progress = /** @type {HTMLProgressElement} */ (by("progress"));
  return new Promise((resolve, reject) => {
    worker.addEventListener("error", (event) => reject(new Error(event.message || "the worker failed")));
    worker.addEventListener("message", ({ data }) => {
      if (data.progress) {
        const { loaded, total } = data.progress;
        progress.value = Math.min(1, loaded / total);
        by("loading-text").textContent = `Loading the model: ${megabytes(loaded)} of ${megabytes(total)}`;
      } else if (data.facts) {
        resolve(data.facts);
      } else if (data.error && data.id === undefined) {
        reject(new Error(data.error));
      }
    });
    worker.postMessage({ load: { page, wishes: { device: address.get("device"), threads } } });
  });
}

/**
 * @param {Page} page
 * @param {(rows: any[]) => Promise<any>} ask
 */
function start(page, ask) {
  const view = VIEWS[page.task];
  /** @type {Record<string, HTMLTextAreaElement>} */
  const inputs = {};
  for (const { name, label, value, lines, hint } of view.fields) {
    const input = element("textarea", { id: `field-${name}`, rows: lines, value, spellcheck: false });
    inputs[name] = input;
    const field = element("div", { className: "field" },
      element("label", { htmlFor: input.id }, label), input);
    if (hint) {
      field.append(element("p", { id: `${input.id}-hint`, className: "hint" }, hint));
      input.setAttribute("aria-describedby", `${input.id}-hint`);
    }
    by("form").append(field);
    input.addEventListener("input", () => answer());
  }

  let isBusy = false, isStale = false;
  async function answer() {
    isStale = true;
    if (isBusy) return;
    isBusy = true;
    by("answer").ariaBusy = "true";
    while (isStale) {
      isStale = false;
      const rows = view.rows(Object.fromEntries(
        Object.entries(inputs).map(([name, input]) => [name, input.value])));
      by("answer").hidden = !rows.length;
      if (!rows.length) continue;
      try {
        const { results, tokens, milliseconds, limit } = await ask(rows);
        by("summary").textContent = view.show(results, rows, by("results"));
        by("problem").hidden = true;
        by("cut").textContent = limit ? `The model reads ${limit} tokens; the rest is cut.` : "";
        if (tokens) showSpeed(tokens, milliseconds);
      } catch (error) {
        complain(error);
      }
    }
    isBusy = false;
    by("answer").ariaBusy = "false";
  }

  const fields = {
    fill(/** @type {string} */ text) {
      inputs[/** @type {string} */ (view.fileField)].value = text;
      answer();
    },
    showSpeed,
  };
  fileTable(view, ask, fields, { label: by("file-label"), input: by("lines"), place: by("table") });
  by("form").addEventListener("submit", (event) => event.preventDefault());
  for (const id of ["form", "file"]) by(id).hidden = false;
  answer();
}

/**
 * @param {number} tokens
 * @param {number} milliseconds
 */
function showSpeed(tokens, milliseconds) {
  const rate = Math.round(tokens / milliseconds * 1000).toLocaleString("en");
  tell({ "speed": `${rate} tokens/s`, "last answer": `${tokens} tokens in ${milliseconds.toFixed(1)} ms` });
}

/** Once all is loaded, and kept: without a network from now on.
 *
 * @param {Page} page
 * @param {boolean} isKept
 */
async function stayOffline(page, isKept) {
  if (!navigator.serviceWorker) {
    tell({ offline: "only from https" });
    return;
  }
  try {
    await navigator.serviceWorker.register(
      `service-worker.js?version=${encodeURIComponent(page.version)}`);
    await navigator.serviceWorker.ready;
    tell({ offline: isKept ? "ready" : "no room in this browser" });
  } catch {
    tell({ offline: "not allowed here" });
  }
}

try {
  const response = await fetch("page.json", { cache: "no-cache" });
  if (!response.ok) throw new Error(`page.json cannot be loaded: ${response.status}`);
  /** @type {Page} */
  const page = await response.json();
  document.title = page.name;
  by("name").textContent = page.name;
  by("what").textContent = VIEWS[page.task].what;
  const worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
  const ask = asker(worker);
  const facts = await load(page, worker);
  by("loading").hidden = true;
  tell({
    "computed by": facts.device === "webgpu" ? "WebGPU"
      : `WebAssembly, ${facts.threads === 1 ? "1 thread" : `${facts.threads} threads`}`,
    "model": `${megabytes(page.bytes)}, ${page.dtype}`,
    "download": megabytes(facts.downloaded),
  });
  by("warning").hidden = facts.isRight;
  by("warning").textContent =
    "This browser computes other scores than the model gave when it was exported.";
  start(page, ask);
  await stayOffline(page, facts.isKept);
} catch (error) {
  complain(error);
}
