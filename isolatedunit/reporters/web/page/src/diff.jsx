// What two sides of a comparison differ in.
import { diffLines, diffWordsWithSpace } from "diff";
import { useMemo } from "preact/hooks";

const CONTEXT = 3;
const LONGEST = 20000;  // characters of a side in which words are compared: more takes too long

export const hasDiff = (note, compared) => Boolean(compared || note.diff || (note.expected !== undefined && note.expected !== note.actual));

export function Diff({ note, compared }) {
  const rows = useMemo(() => rowsOf(note, compared), [note]);
  return (
    <figure class="diff">
      <figcaption><span class="first">− first</span> <span class="second">+ second</span></figcaption>
      <pre tabIndex={0} role="region" aria-label="Difference">{rows.map(([sign, parts], place) => (
        <span key={place} class={{ "-": "first", "+": "second", "?": "hint", "…": "hint" }[sign] || ""}>{sign} {parts.map((part, at) => (typeof part === "string" ? part : <mark key={at}>{part.text}</mark>))}</span>
      ))}</pre>
    </figure>
  );
}

function rowsOf(note, compared) {
  const { expected, actual } = note;
  const textual = note.diff || compared || "";
  const isText = expected?.includes("\n") || actual?.includes("\n");
  const isLong = (textual.match(/^[-+] /gm) || []).length > 2;  // unittest has broken a long value into lines
  if (textual && (expected === undefined || (isLong && !isText))) return rowsOfText(textual);
  if (expected === undefined) return [];
  return isText ? shorten(rowsOfLines(expected, actual)) : rowsOfWords(expected, actual);
}

// a diff of unittest's: its lines of question marks say what the marks in the colours do here
function rowsOfText(text) {
  const lines = text.trimEnd().split("\n");
  return lines.map((line) => ["-", "+", "?"].includes(line[0]) ? [line[0], [line.slice(2)]] : [" ", [line.startsWith("  ") ? line.slice(2) : line]]);
}

function rowsOfWords(expected, actual) {
  if (expected.length + actual.length > LONGEST) return [["-", [expected]], ["+", [actual]]];
  const parts = diffWordsWithSpace(expected, actual);
  const side = (leftOut) => parts.filter((part) => !part[leftOut]).map((part) => (part.added || part.removed ? { text: part.value } : part.value));
  return [["-", side("added")], ["+", side("removed")]];
}

function rowsOfLines(expected, actual) {
  const parts = diffLines(expected, actual), rows = [];
  const linesOf = (part) => part.value.replace(/\n$/, "").split("\n");
  for (let place = 0; place < parts.length; place += 1) {
    const part = parts[place], next = parts[place + 1];
    if (part.removed && next?.added && linesOf(part).length === linesOf(next).length) {
      const pairs = linesOf(part).map((line, at) => rowsOfWords(line, linesOf(next)[at]));
      rows.push(...pairs.map(([first]) => first), ...pairs.map(([, second]) => second));
      place += 1;
    } else {
      rows.push(...linesOf(part).map((line) => [part.removed ? "-" : part.added ? "+" : " ", [line]]));
    }
  }
  return rows;
}

// lines that are the same are left out, but for a few around the others
function shorten(rows) {
  const near = new Uint8Array(rows.length);
  rows.forEach(([sign], place) => { if (sign !== " ") near.fill(1, Math.max(0, place - CONTEXT), place + CONTEXT + 1); });
  const kept = [];
  for (let place = 0; place < rows.length; place += 1) {
    if (near[place]) { kept.push(rows[place]); continue; }
    let end = place;
    while (end < rows.length && !near[end]) end += 1;
    kept.push(["…", [`${end - place} equal line${end - place === 1 ? "" : "s"}`]]);
    place = end - 1;
  }
  return kept;
}
