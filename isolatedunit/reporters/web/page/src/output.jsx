// What a test wrote, in the colours that it has on a terminal.
import Anser from "anser";
import { useMemo } from "preact/hooks";

function Coloured({ text }) {
  const pieces = useMemo(() => (text.includes("\x1b[") ? Anser.ansiToJson(text, { json: true, use_classes: true, remove_empty: true }) : null), [text]);
  if (!pieces) return text;
  return pieces.map((piece, place) => {
    const colour = (name, exact) => (name === "ansi-truecolor" ? `rgb(${exact})` : undefined);
    const classes = [piece.fg, piece.bg && `on-${piece.bg}`, ...piece.decorations].filter(Boolean).join(" ");
    return <span key={place} class={classes} style={{ color: colour(piece.fg, piece.fg_truecolor), backgroundColor: colour(piece.bg, piece.bg_truecolor) }}>{piece.content}</span>;
  });
}

export function Output({ title, text }) {
  if (!text) return null;
  return <section><h3>{title}</h3><pre class="output" tabIndex={0} role="region" aria-label={title}><Coloured text={text} /></pre></section>;
}
