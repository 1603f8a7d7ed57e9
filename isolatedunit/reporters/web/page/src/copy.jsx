// A button that copies a text.
import { useState } from "preact/hooks";

async function copy(text) {
  if (navigator.clipboard) {
    try { await navigator.clipboard.writeText(text); return true; } catch { /* such as without a permission */ }
  }
  const area = Object.assign(document.createElement("textarea"), { value: text });  // a page without https has no clipboard
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

export function Copy({ text, what }) {
  const [told, setTold] = useState("");
  const press = async () => {
    setTold((await copy(text)) ? "Copied" : "Select and copy it");
    setTimeout(() => setTold(""), 2000);
  };
  return <button type="button" class="act copy" aria-label={`Copy ${what}`} onClick={press}><span aria-live="polite">{told || "Copy"}</span></button>;
}
