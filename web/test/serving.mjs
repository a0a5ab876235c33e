/**
 * Uses the page of `distil serve` by keyboard alone: `node serving.mjs ADDRESS BROWSER [PICTURE]`.
 *
 * Asks each model once, and prints as JSON what it has gone through by Tab, what is shown, and what
 * was requested elsewhere or complained about.
 */

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { chromium } from "playwright-core";

const [address, browser, picture] = process.argv.slice(2);
const profile = mkdtempSync(join(tmpdir(), "page-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: browser,
  headless: true,
  viewport: { width: 720, height: 700 },
  args: ["--no-sandbox", "--no-first-run", "--disable-background-networking", "--disable-gpu"],
});
const page = context.pages()[0] ?? await context.newPage();
const elsewhere = [], problems = [], answers = [];
context.on("request", (request) => {
  if (!request.url().startsWith(address)) elsewhere.push(request.url());
});
page.on("console", (message) => {
  if (message.type() === "error") problems.push(message.text());
});
page.on("pageerror", (error) => problems.push(String(error)));

const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.tagName);
const press = (key) => page.keyboard.press(key);

const load = async () => {
  await page.goto(address);
  await page.waitForFunction(() => document.querySelectorAll("#model option").length > 0);
};
await load();
const models = await page.locator("#model option").allTextContents();
const order = [];
for (const model of models) {
  order.length = 0;
  await load();
  await press("Tab");
  order.push(await focused());
  await page.keyboard.type(model.slice(0, 3)); // a list takes the first letters of what is meant
  await press("Tab");
  order.push(await focused());
  await press("Control+A");
  await page.keyboard.type("the good film");
  await press("Tab");
  order.push(await focused());
  await press("Tab");
  order.push(await focused());
  await press("Enter");
  await page.waitForFunction(() => document.getElementById("answer").textContent !== "");
  answers.push({ model, text: await page.locator("#answer").textContent() });
  if (picture && answers.length === 1) {
    await page.waitForTimeout(1500); // for the figures of the next second
    await page.screenshot({ path: picture });
  }
}
const state = await page.locator("#state").textContent();
const labels = await page.evaluate(() =>
  [...document.querySelectorAll("select, textarea, input")]
    .filter((one) => !document.querySelector(`label[for="${one.id}"]`)).map((one) => one.id));
console.log(JSON.stringify({ order, answers, state, elsewhere, problems, unlabelled: labels }));
await context.close();
rmSync(profile, { recursive: true, force: true });
