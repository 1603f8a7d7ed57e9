// Why a test failed: the message once, what differs, and the source around each frame.
import { Diff, hasDiff } from "./diff.jsx";
import { editorLink } from "./editor.js";
import { WORDS } from "./format.js";

// lines that unittest makes of a comparison, as `difflib.ndiff` has them
const OF_A_DIFF = /^([-+?] |  |@@ |--- |\+\+\+ |[-+]$)/;

// what the message says beside the comparison that is shown in colours below it
export function splitMessage(message) {
  const lines = message.trimEnd().split("\n");
  const from = lines.findIndex((line, place) => place > 0 && OF_A_DIFF.test(line));
  if (from < 0 || !lines.some((line, place) => place > 0 && /^[-+] /.test(line))) return { words: message.trimEnd(), compared: "" };
  let to = lines.length;
  while (to > from && !OF_A_DIFF.test(lines[to - 1]) && lines[to - 1] !== "") to -= 1;
  const before = lines.slice(0, from).filter((line, place) => line.trim() || place === 0);
  return { words: [...before, ...lines.slice(to)].join("\n").trimEnd(), compared: lines.slice(from, to).join("\n").trimEnd() };
}

export function Failure({ note, base }) {
  const { words, compared } = splitMessage(note.message || "");
  const text = (note.text || "").startsWith(note.message || "\0") ? note.text.slice(note.message.length).trim() : note.text;
  const name = (note.exception || "").replace(/^.*\./, ""), frames = note.frames || [];
  const differs = hasDiff(note, compared);
  return (
    <section class="failure">
      {note.title && <h3>{note.title}</h3>}
      <p class={`said ${note.outcome}`}>{name && <b title={note.exception}>{name}{words ? ": " : ""}</b>}<span>{words || (name ? "" : WORDS[note.outcome])}</span></p>
      {differs && <Diff note={note} compared={compared} />}
      {frames.length > 0 && <div class="frames">{frames.map((frame, place) => <Frame key={place} frame={frame} base={base} isLast={place === frames.length - 1} />)}</div>}
      {text && <details open={!frames.length && !differs}><summary>{/^Traceback/m.test(text) ? "Full traceback" : "Details"}</summary><pre tabIndex={0} role="region" aria-label="Traceback">{text}</pre></details>}
    </section>
  );
}

function Frame({ frame, base }) {
  return (
    <figure>
      <figcaption><Place file={frame.file} line={frame.line} base={base} /> in <code>{frame.function}</code></figcaption>
      {frame.lines.length > 0 && <pre class="source" tabIndex={0} role="region" aria-label={`Source of ${frame.function}`}>
        {frame.lines.map((text, place) => {
          const number = frame.first + place;
          return <span key={number} class={number === frame.line ? "here" : ""}><i aria-hidden="true">{number === frame.line ? "›" : " "}{String(number).padStart(5)}</i>  {text}</span>;
        })}
      </pre>}
      {frame.values?.length > 0 && <pre class="values" tabIndex={0} role="region" aria-label={`Values in ${frame.function}`}>{frame.values.join("\n")}</pre>}
    </figure>
  );
}

export function Place({ file, line, base }) {
  const shown = base && file.startsWith(`${base}/`) ? file.slice(base.length + 1) : file;
  return <a class="place" href={editorLink(file, line, base)} title={`Open ${file}:${line} in your editor`}><bdi>{shown}:{line}</bdi></a>;
}
