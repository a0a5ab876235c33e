/**
 * One way to compute in a browser, on one thread: `node browser.mjs BROWSER [MODULES]`.
 *
 * Reads steps as JSON, one a line, and answers each with a line; see `browser.py` and `on_device.py`.
 *
 * - `{"load": {kind, folder, model}}`: what computes.  "session", the runtime of an exported page with
 *   its model; "page", the worker of that page, tokenizer and all; "transformers", transformers.js of
 *   MODULES (a node_modules) with the folder `model` in `folder`;
 * - `{"time": {ids, times}}`: a row of ids, so many times after one more ("session");
 * - `{"texts": {texts}}`: texts one by one, and their labels (the others);
 * - `{"memory": {}}`: the largest memory that the page's process has had, in MB.
 *
 * Times are those of the processor, in ms, of all threads of the page's process: other programs on the
 * machine count for little.
 */

import { createReadStream, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { createInterface } from "node:readline";

const PLAYWRIGHT = new URL("../web/node_modules/playwright-core/index.mjs", import.meta.url);
const { chromium } = await import(PLAYWRIGHT);

const [browser, modules] = process.argv.slice(2);
const TYPES = {
  ".html": "text/html", ".js": "text/javascript", ".json": "application/json",
  ".mjs": "text/javascript", ".wasm": "application/wasm",
};
const PAGE = `<!doctype html><title>benchmark</title>
<script type="importmap">{"imports": {
  "onnxruntime-common": "/modules/onnxruntime-common/dist/esm/index.js",
  "onnxruntime-web": "/modules/onnxruntime-web/dist/ort.bundle.min.mjs",
  "onnxruntime-web/webgpu": "/modules/onnxruntime-web/dist/ort.webgpu.bundle.min.mjs"
}}</script>`;

const roots = { modules };
const server = createServer((request, response) => {
  const [, root, ...rest] = decodeURIComponent(new URL(request.url, "http://host").pathname).split("/");
  // A page that is isolated has a finer clock.
  const headers = {
    "cross-origin-opener-policy": "same-origin", "cross-origin-embedder-policy": "require-corp",
  };
  if (!root) {
    response.writeHead(200, { ...headers, "content-type": "text/html" }).end(PAGE);
    return;
  }
  const file = roots[root] && join(roots[root], normalize(`/${rest.join("/")}`));
  const found = file && statSync(file, { throwIfNoEntry: false });
  if (!found?.isFile()) {
    response.writeHead(404, headers).end();
    return;
  }
  const type = TYPES[extname(file)] ?? "application/octet-stream";
  response.writeHead(200, { ...headers, "content-type": type, "content-length": found.size });
  createReadStream(file).pipe(response);
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));

const profile = mkdtempSync(join(tmpdir(), "benchmark-"));
const context = await chromium.launchPersistentContext(profile, {
  executablePath: browser,
  headless: true,
  args: ["--no-sandbox", "--no-first-run", "--disable-background-networking", "--disable-gpu"],
});
const page = context.pages()[0] ?? await context.newPage();
page.setDefaultTimeout(0);
await page.goto(`http://127.0.0.1:${server.address().port}/`);

/** What runs in the page. */
const LOADS = {
  async session() {
    const about = await (await fetch("/folder/page.json")).json();
    const { module, binary } = about.runtimes.wasm;
    const bytesOf = async (path, ...through) => {
      let { body } = await fetch(`/folder/${path}`);
      for (const one of through) body = body.pipeThrough(one);
      return new Uint8Array(await new Response(body).arrayBuffer());
    };
    const ort = await import(`/folder/${module}`);
    ort.env.wasm.wasmBinary = (await bytesOf(binary, new DecompressionStream("gzip"))).buffer;
    ort.env.wasm.numThreads = 1;
    const session = await ort.InferenceSession.create(
      await bytesOf(about.model), { executionProviders: ["wasm"], logSeverityLevel: 3 });
    globalThis.time = async ({ ids, times }) => {
      const dims = [1, ids.length];
      const given = {
        input_ids: new ort.Tensor("int64", BigInt64Array.from(ids, BigInt), dims),
        attention_mask: new ort.Tensor("int64", new BigInt64Array(ids.length).fill(1n), dims),
      };
      for (let number = 0; number < times; number += 1) await session.run(given);
    };
  },
  async page() {
    const about = await (await fetch("/folder/page.json")).json();
    const worker = new Worker("/folder/worker.js", { type: "module" });
    const answer = (message, isIt) => new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => {
        if (data.error) reject(new Error(data.error));
        else if (isIt(data)) resolve(data);
      };
      worker.postMessage(message);
    });
    await answer({ load: { page: about, wishes: { device: "wasm", threads: 1 } } }, ({ facts }) => facts);
    globalThis.texts = async ({ texts }) => {
      const labels = [];
      for (const text of texts) {
        const { results } = await answer({ id: labels.length, rows: [{ text }] }, ({ id }) => id === labels.length);
        labels.push(results[0].labels[0]);
      }
      return labels;
    };
  },
  async transformers({ model }) {
    const { env, pipeline } = await import("/modules/@huggingface/transformers/dist/transformers.web.js");
    env.allowRemoteModels = false;
    env.allowLocalModels = true;
    env.localModelPath = "/folder/";
    env.backends.onnx.wasm.wasmPaths = "/modules/onnxruntime-web/dist/";
    env.backends.onnx.wasm.numThreads = 1;
    const classify = await pipeline("text-classification", model, { dtype: "fp32", device: "wasm" });
    globalThis.texts = async ({ texts }) => {
      const labels = [];
      for (const text of texts) labels.push((await classify(text))[0]);
      return labels;
    };
  },
};

/** Renderers below this process: their numbers and the largest memory that each has had, in MB. */
function renderers() {
  const parents = new Map(), found = [];
  for (const name of readdirSync("/proc").filter((one) => /^\d+$/.test(one))) {
    try {
      const status = readFileSync(`/proc/${name}/status`, "utf8");
      parents.set(name, /^PPid:\s*(\d+)/m.exec(status)[1]);
      const isRenderer = readFileSync(`/proc/${name}/cmdline`, "utf8").includes("--type=renderer");
      if (isRenderer) found.push([name, Number(/^VmHWM:\s*(\d+)/m.exec(status)[1]) / 1024]);
    } catch {} // it has just ended
  }
  const isOurs = (name) => name === String(process.pid) || (parents.has(name) && isOurs(parents.get(name)));
  return found.filter(([name]) => isOurs(name));
}

const memory = () => Math.max(...renderers().map(([, peak]) => peak));

/** Processor time of the renderers so far, in ms. */
function spent() {
  const threads = renderers().flatMap(([name]) =>
    readdirSync(`/proc/${name}/task`).map((thread) => `/proc/${name}/task/${thread}/schedstat`));
  return threads.reduce((sum, path) => sum + Number(readFileSync(path, "utf8").split(" ")[0]), 0) / 1e6;
}

/** Calls a function of the page; gives what it gives, and the processor time that it took. */
async function timed(name, given) {
  const begin = spent();
  const found = await page.evaluate(([one, argument]) => globalThis[one](argument), [name, given]);
  return { found, milliseconds: spent() - begin };
}

const STEPS = {
  async load({ kind, folder, model }) {
    roots.folder = folder;
    const before = memory();
    await page.evaluate(`(${LOADS[kind].toString().replace(/^async /, "async function ")})(${JSON.stringify({ model })})`);
    return { before };
  },
  async time({ ids, times }) {
    await timed("time", { ids, times: 1 });
    return (await timed("time", { ids, times })).milliseconds;
  },
  async texts({ texts }) {
    const { found, milliseconds } = await timed("texts", { texts });
    return { labels: found, milliseconds };
  },
  memory: async () => memory(),
};

try {
  for await (const line of createInterface({ input: process.stdin })) {
    const [[name, given]] = Object.entries(JSON.parse(line));
    const answer = await STEPS[name](given).then(
      (found) => ({ found }), (error) => ({ error: String(error) }));
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
} finally {
  await context.close();
  server.close();
  rmSync(profile, { recursive: true, force: true });
}
