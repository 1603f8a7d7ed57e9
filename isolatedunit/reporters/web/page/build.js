// Bundles the page into ../bundle, with the licences of the packages that are in it: `npm run build`.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const OUT = "../bundle";

// the test of the bundle makes the same digest, so that nobody changes a source and forgets the bundle
function digestOfSources() {
  const digest = createHash("sha256");
  const names = ["build.js", "package.json", "package-lock.json", ...readdirSync("src").map((name) => `src/${name}`)];
  for (const name of names.sort()) digest.update(`${name}\0`).update(readFileSync(name, "utf8").replaceAll("\r\n", "\n"));
  return digest.digest("hex");
}

// one text for all packages whose licences differ in nothing but who holds the copyright
function licencesOf(metafile) {
  const packages = new Set();
  for (const input of Object.keys(metafile.inputs)) {
    const found = input.match(/^node_modules\/((?:@[^/]+\/)?[^/]+)\//);
    if (found) packages.add(found[1]);
  }
  const byText = new Map();
  for (const name of [...packages].sort()) {
    const folder = `node_modules/${name}`;
    const { version } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
    const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one));
    if (!file) throw new Error(`${name} has no licence file`);
    const lines = readFileSync(`${folder}/${file}`, "utf8").replaceAll("\r", "").trim().split("\n");
    const holders = lines.filter((line) => /^\s*copyright (\(c\)|©|\d)/i.test(line)).map((line) => line.trim());
    const text = lines.filter((line) => !holders.includes(line.trim())).join(" ").replace(/\s+/g, " ").trim();
    byText.set(text, [...(byText.get(text) || []), `${name} ${version}: ${holders.join("; ")}`]);
  }
  const fold = (text) => text.replace(/(.{1,110})(\s|$)/g, "$1\n").trim();
  return [...byText].map(([text, holders]) => `${holders.join("\n")}\n\n${fold(text)}\n`).join("\n");
}

const options = { entryPoints: { page: "src/main.jsx", audit: "src/audit.css" }, bundle: true, minify: true, write: false, metafile: true, outdir: "out",
  target: ["chrome110", "firefox115", "safari16.4"], format: "iife", charset: "utf8", legalComments: "none", jsx: "automatic", jsxImportSource: "preact" };
const { metafile, outputFiles } = await build(options);
const licences = licencesOf(metafile);
writeFileSync(`${OUT}/licences.txt`, `The page contains these packages.\n\n${licences}`);
for (const file of outputFiles) {
  const name = file.path.split(/[\\/]/).at(-1), kind = name.split(".").at(-1);
  const head = kind === "js" ? `/* sources ${digestOfSources()}\n\n${licences}*/\n` : "";
  // trap: the page is one document, and "</script" or "<!--" would end the script or hide its end
  const text = file.text.replace(/<\/(script|style)/gi, "<\\/$1").replaceAll("<!--", "<\\!--");
  writeFileSync(`${OUT}/${name}`, head + text);
  console.log(`${name}: ${Math.ceil((head + text).length / 1000)} kB`);
}
