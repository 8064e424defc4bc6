// Bundles browser.js with the libraries that it drives, into the folder named: `node bundle.mjs FOLDER`.

import { copyFileSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { load } from "./common.mjs";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const folder = process.argv[2];
const { dependencies } = JSON.parse(readFileSync(here("package.json"), "utf-8"));

await load("esbuild").build({
  entryPoints: [here("browser.js")],
  outfile: `${folder}/browser.bundle.js`,
  nodePaths: [here("../../.cache/peers/node_modules")],
  define: { VERSIONS: JSON.stringify(dependencies) },
  bundle: true,
  format: "iife",
  logLevel: "warning",
});
copyFileSync(here("peers.html"), `${folder}/peers.html`);
