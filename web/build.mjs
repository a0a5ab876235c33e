/**
 * Builds the page into the Python package: `npm ci && npm run build`.
 *
 * ONNX Runtime's binaries are packed, as few static hosts pack them: 14 MB become 4.  `build.json` says
 * of what the page was made, so that a test without Node.js sees when it has not been built again.
 */

import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { gzipSync } from "node:zlib";

import { build } from "esbuild";

const HERE = new URL("./", import.meta.url);
const SOURCES = new URL("src/", HERE);
const TARGET = new URL(process.argv[2] ? `file://${process.argv[2]}/` : "../src/distil/exporting/page/", HERE);
const RUNTIME = new URL("node_modules/onnxruntime-web/", HERE);

const PLAIN = ["index.html", "service-worker.js", "style.css"];
// As .js: some hosts do not know .mjs.
const BUNDLED = ["app", "worker"];
const RUNTIMES = {
  wasm: ["ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"],
  webgpu: ["ort.webgpu.bundle.min.mjs", "ort-wasm-simd-threaded.asyncify.wasm"],
};

const LICENSE = "runtime-license.txt";

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

await rm(TARGET, { recursive: true, force: true });
await mkdir(new URL("runtime/", TARGET), { recursive: true });
for (const name of PLAIN) await writeFile(new URL(name, TARGET), await readFile(new URL(name, SOURCES)));
await build({
  entryPoints: BUNDLED.map((name) => new URL(`${name}.mjs`, SOURCES).pathname),
  outdir: TARGET.pathname,
  bundle: true,
  format: "esm",
  minify: true,
  charset: "utf8",
  target: "es2022",
});

const runtimes = {};
for (const [name, [module, binary]] of Object.entries(RUNTIMES)) {
  const path = `runtime/${module.replace(".mjs", ".js")}`;
  const packed = gzipSync(await readFile(new URL(`dist/${binary}`, RUNTIME)), { level: 9 });
  const script = await readFile(new URL(`dist/${module}`, RUNTIME), "utf8");
  await writeFile(new URL(`runtime/${binary}.gz`, TARGET), packed);
  await writeFile(new URL(path, TARGET), script.replace(/\n\/\/# sourceMappingURL=.*\s*$/, "\n"));
  runtimes[name] = { module: `./${path}`, binary: `runtime/${binary}.gz`, bytes: packed.length };
}

await writeFile(new URL("runtime/LICENSE.txt", TARGET), await readFile(new URL(LICENSE, HERE)));

const sources = {};
for (const entry of await readdir(SOURCES, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue;
  const path = join(entry.parentPath, entry.name);
  sources[relative(SOURCES.pathname, path)] = sha256(await readFile(path));
}
const lock = JSON.parse(await readFile(new URL("package-lock.json", HERE), "utf8"));
const versionOf = (name) => lock.packages[`node_modules/${name}`].version;
await writeFile(new URL("build.json", TARGET), `${JSON.stringify({
  versions: { "onnxruntime-web": versionOf("onnxruntime-web"), esbuild: versionOf("esbuild") },
  // What the service worker keeps; it looks after itself, and large files are kept by the page.
  files: [
    "./", "index.html", "style.css", ...BUNDLED.map((name) => `${name}.js`),
    ...Object.values(runtimes).map(({ module }) => module),
  ],
  runtimes,
  sources: Object.fromEntries(Object.entries(sources).sort()),
}, null, 2)}\n`);
