/**
 * Serves the page without a network once it has been visited, and adds the headers without which a
 * browser allows no threads: a static host need not be able to set them.
 *
 * Registered with the version of the page in its address, so that another version is another worker,
 * with a store of its own.  Runtime and model are put there, and found there, by download.mjs, which
 * asks for a version as well; the rest is here.
 */

const version = new URL(self.location.href).searchParams.get("version");
const store = `distil ${self.registration.scope} ${version}`;

self.addEventListener("install", (event) => event.waitUntil(install()));
self.addEventListener("activate", (event) => event.waitUntil(activate()));
self.addEventListener("fetch", (event) => {
  const { request } = event;
  const { href, searchParams } = new URL(request.url);
  const isOurs = href.startsWith(self.registration.scope) && !searchParams.has("version");
  if (request.method === "GET" && isOurs) {
    event.respondWith(answer(request));
  }
});

async function install() {
  const cache = await caches.open(store);
  const response = await fetch("page.json", { cache: "no-cache" });
  const { files } = await response.clone().json();
  await cache.put("page.json", response);
  await cache.addAll(files.map((path) => new Request(path, { cache: "no-cache" })));
  await self.skipWaiting();
}

async function activate() {
  const ours = `distil ${self.registration.scope} `;
  for (const name of await caches.keys()) {
    if (name.startsWith(ours) && name !== store) await caches.delete(name);
  }
  await self.clients.claim();
}

async function answer(request) {
  const url = new URL(request.url);
  const path = url.pathname.endsWith("/") ? "./" : request.url.split("?")[0];
  const known = await (await caches.open(store)).match(path);
  // What says which version there is comes from the host as long as there is one.
  const isNews = url.pathname.endsWith("/page.json");
  let response;
  try {
    response = known && !isNews ? known : await fetch(request);
  } catch (error) {
    if (!known) throw error;
    response = known;
  }
  if (response.type === "opaque" || response.type === "error") return response;
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers });
}
