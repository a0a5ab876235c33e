/**
 * A file that is chosen, or dropped anywhere on the page: it fills a field, or each of its lines is a
 * text, with the results in a table that can be saved.
 */

import { element } from "./views.mjs";

/** @import { View } from "./views.mjs" */

/** Lines for the worker at once, and rows of the table; what is saved has all. */
const LINES_AT_ONCE = 16, MOST_ROWS = 2000;

/**
 * @param {View<any, any>} view
 * @param {(rows: any[]) => Promise<any>} ask
 * @param {{fill(text: string): void, showSpeed(tokens: number, milliseconds: number): void}} page
 * @param {{label: HTMLElement, input: HTMLElement, place: HTMLElement}} parts
 */
export function fileTable(view, ask, page, { label, input, place }) {
  label.textContent = `${view.file}, chosen here or dropped on the page`;
  let run = 0;

  async function take(/** @type {File | undefined} */ file) {
    if (!file) return;
    run += 1;
    const text = await file.text();
    if (view.fileField) page.fill(text.trimEnd());
    else await tabulate(text.split(/\r?\n/).filter((line) => line.trim()), run);
  }

  async function tabulate(/** @type {string[]} */ lines, /** @type {number} */ own) {
    const { columns = [], cells = () => [] } = view;
    const state = element("span", { role: "status" });
    const stop = element("button", { type: "button" }, "Stop");
    const save = element("button", { type: "button", hidden: true }, "Save as JSON lines");
    const body = element("tbody", {});
    const head = element("tr", {}, ...["line", "text", ...columns].map((name) =>
      element("th", { scope: "col" }, name)));
    /** @type {any[]} */
    const all = [];
    place.replaceChildren(
      element("div", { className: "actions" }, state, stop, save),
      element("div", { className: "scroll", tabIndex: 0 },
        element("table", {}, element("thead", {}, head), body)));
    stop.addEventListener("click", () => { run += 1; });
    save.addEventListener("click", () => saved(all));
    let tokens = 0, milliseconds = 0;
    try {
      for (let first = 0; first < lines.length && run === own; first += LINES_AT_ONCE) {
        const rows = lines.slice(first, first + LINES_AT_ONCE).map((text) => ({ text }));
        const done = await ask(rows);
        tokens += done.tokens;
        milliseconds += done.milliseconds;
        page.showSpeed(tokens, milliseconds);
        done.results.forEach((/** @type {any} */ result, /** @type {number} */ index) => {
          all.push({ row: first + index, ...rows[index], ...result });
          if (all.length > MOST_ROWS) return;
          body.append(element("tr", {}, ...[
            String(all.length), rows[index].text, ...cells(result, rows[index]),
          ].map((value) => element("td", {}, value))));
        });
        state.textContent = `${all.length.toLocaleString("en")} of ${lines.length.toLocaleString("en")} lines`;
      }
    } catch (error) {
      state.textContent += ` — ${error instanceof Error ? error.message : error}`;
    }
    if (!lines.length) state.textContent = "There is no text in this file.";
    stop.hidden = true;
    save.hidden = !all.length;
  }

  const chooser = /** @type {HTMLInputElement} */ (input);
  chooser.addEventListener("change", () => take(chooser.files?.[0]));
  addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("dropping");
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("dropping");
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    take(event.dataTransfer?.files[0]);
  });
}

/** @param {any[]} rows */
function saved(rows) {
  const text = rows.map((row) => `${JSON.stringify(row)}\n`).join("");
  const url = URL.createObjectURL(new Blob([text], { type: "application/x-ndjson" }));
  element("a", { href: url, download: "results.jsonl" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
