// The keys of the page, what they are, and which editor opens a line.
import { useEffect, useRef, useState } from "preact/hooks";
import { EDITORS, setTemplate, template } from "./editor.js";

export function useKeys(deeds) {
  const current = useRef(deeds);
  current.current = deeds;
  useEffect(() => {
    const press = (event) => {
      const { target, key } = event;
      if (event.ctrlKey || event.metaKey || event.altKey || !(key in current.current)) return;
      if (/^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName)) {
        if (key === "Escape") target.blur();
        return;
      }
      event.preventDefault();
      current.current[key]();
    };
    addEventListener("keydown", press);
    return () => removeEventListener("keydown", press);
  }, []);
}

const KEYS = [["j", "next failure"], ["k", "previous failure"], ["/", "search"], ["Esc", "close the test"], ["?", "this list"],
  ["← →", "in the timeline: previous and next process"], ["+ − 0", "in the timeline: zoom in, out, show all"]];
const WORDS = [["word", "in the name, message, cause or a tag"], ["tag:slow", "has the tag"], ["cause:timeout", "has the cause"], ["outcome:failed", "has the outcome"],
  ["is:leaky, is:flaky", "left something behind, passed only at a later attempt"], [">1s, <50ms", "took longer, shorter"], ["-word", "not"]];

export function Keys({ close }) {
  const [text, setText] = useState(template), head = useRef(null);
  useEffect(() => head.current.focus(), []);
  const take = (value) => { setText(value); setTemplate(value); };
  const list = (pairs) => <dl>{pairs.map(([key, what]) => <div key={key}><dt><kbd>{key}</kbd></dt><dd>{what}</dd></div>)}</dl>;
  return (
    <aside class="keys" aria-labelledby="keys">
      <div class="bar"><h2 id="keys" ref={head} tabIndex={-1}>Keys and settings</h2><button type="button" class="act close" onClick={close}>Close</button></div>
      {list(KEYS)}
      <h3>Search</h3>
      {list(WORDS)}
      <h3>Open in editor</h3>
      <p class="editors">{Object.entries(EDITORS).map(([name, one]) => <button key={name} type="button" class="act" aria-pressed={text === one} onClick={() => take(one)}>{name}</button>)}</p>
      <label>Address with {"{path}"} and {"{line}"}: <input value={text} spellcheck={false} onInput={(event) => take(event.target.value)} /></label>
    </aside>
  );
}
