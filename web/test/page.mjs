/**
 * Drives an exported page in a browser: `node page.mjs FOLDER BROWSER [SWITCH ...]`.
 *
 * Serves the folder as a plain static host does, reads steps as JSON from its input, one a line, and
 * says after each what the page shows:
 *
 * - `{"open": query}`: load the page, with that query in its address;
 * - `{"fill": {field: text}}`: type;
 * - `{"file": text}`: give it a file, and wait for the last line;
 * - `{"press": selector}`: a button;
 * - `{"host": false}`: shut the host down; from then on nothing can be fetched;
 * - `{"look": {width, height, dark, path}}`: take a picture.
 */

import { createReadStream, mkdtempSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { createInterface } from "node:readline";

import { chromium } from "playwright-core";

const [folder, browser, ...switches] = process.argv.slice(2);
const TYPES = {
  ".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".json": "application/json",
};
const PATIENCE = 120_000;

const fetched = [];
const server = createServer((request, response) => {
  const path = normalize(decodeURIComponent(new URL(request.url, "http://host").pathname));
  const file = join(folder, path.endsWith("/") ? `${path}index.html` : path);
  const found = statSync(file, { throwIfNoEntry: false });
  fetched.push(path);
  if (!found?.isFile()) {
    response.writeHead(404).end();
    return;
  }
  response.writeHead(200, {
    "content-type": TYPES[extname(file)] ?? "application/octet-stream",
    "content-length": found.size,
  });
  createReadStream(file).pipe(response);
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const home = `http://127.0.0.1:${server.address().port}/`;

const profile = mkdtempSync(join(tmpdir(), "page-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: browser,
  headless: true,
  args: ["--no-sandbox", "--no-first-run", "--disable-background-networking", ...switches],
});
const elsewhere = [], problems = [];
context.on("request", (request) => {
  if (!/^(blob:|data:)/.test(request.url()) && !request.url().startsWith(home)) elsewhere.push(request.url());
});
const page = context.pages()[0] ?? await context.newPage();
page.on("console", (message) => {
  if (["error", "warning"].includes(message.type())) problems.push(message.text());
});
page.on("pageerror", (error) => problems.push(String(error)));

/** What the page shows once it says something. */
async function shown(isThere) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const state = await page.evaluate(() => {
      const textOf = (selector) => document.querySelector(selector)?.textContent ?? "";
      const isSeen = (selector) => !document.querySelector(selector).hidden;
      const texts = (root, selector) => [...root.querySelectorAll(selector)].map((one) => one.textContent);
      return {
        problem: isSeen("#problem") ? textOf("#problem") : null,
        warning: isSeen("#warning") ? textOf("#warning") : null,
        summary: isSeen("#answer") ? textOf("#summary") : null,
        items: [...document.querySelectorAll("#results li")].map((one) => texts(one, "span:not(.bar)")),
        fields: [...document.querySelectorAll("textarea")].map((one) => one.value),
        isBusy: document.querySelector("#answer").ariaBusy === "true",
        cut: textOf("#cut"),
        marks: texts(document, "#results mark"),
        answers: texts(document, "#results button"),
        rows: [...document.querySelectorAll("#table tbody tr")].map((one) => texts(one, "td")),
        isDone: Boolean(document.querySelector("#table button[hidden]")?.textContent === "Stop"),
        facts: Object.fromEntries([...document.querySelectorAll("#facts div")].map((one) =>
          [one.children[0].textContent, one.children[1].textContent])),
        isIsolated: crossOriginIsolated,
      };
    });
    if (state.problem || (isThere(state) && !state.isBusy)) return state;
    if (Date.now() > end) throw new Error(`nothing came: ${JSON.stringify(state)} ${problems}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const STEPS = {
  async open(query) {
    await page.goto(`${home}${query}`);
    return shown(({ summary, facts }) => summary && facts.offline);
  },
  async fill(fields) {
    await page.evaluate(() => { document.querySelector("#summary").textContent = ""; });
    for (const [name, text] of Object.entries(fields)) await page.fill(`#field-${name}`, text);
    return shown(({ summary }) => summary);
  },
  async file(text) {
    await page.setInputFiles("#lines", { name: "lines.txt", mimeType: "text/plain", buffer: Buffer.from(text) });
    return shown(({ isDone, fields }) => isDone || fields.includes(text.trimEnd()));
  },
  async press(selector) {
    await page.click(selector);
    return shown(() => true);
  },
  async host() {
    await new Promise((resolve) => { server.close(resolve); server.closeAllConnections(); });
    return null;
  },
  async look({ width, height, dark, path }) {
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme: dark ? "dark" : "light" });
    await page.screenshot({ path, fullPage: true });
    return page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
  },
};

try {
  for await (const line of createInterface({ input: process.stdin })) {
    const [[name, given]] = Object.entries(JSON.parse(line));
    const state = await STEPS[name](given);
    process.stdout.write(`${JSON.stringify({ state, fetched: fetched.splice(0), elsewhere, problems })}\n`);
  }
} finally {
  await context.close();
  server.close();
  rmSync(profile, { recursive: true, force: true });
}
