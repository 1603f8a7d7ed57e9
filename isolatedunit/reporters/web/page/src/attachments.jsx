// What a test attached: pictures and text are shown, everything can be saved.
import { size } from "./format.js";
import { Output } from "./output.jsx";

const MOST_TEXT = 100000;

function textOf(data) {
  const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
  return new TextDecoder().decode(bytes.slice(0, MOST_TEXT));
}

export function Attachments({ attempts }) {
  const attachments = attempts.flatMap((attempt) => (attempt.attachments || []).map((one) => ({ ...one, attempt: attempts.length > 1 ? attempt.number : null })));
  if (!attachments.length) return null;
  return <section><h3>{attachments.length === 1 ? "Attachment" : "Attachments"}</h3>{attachments.map((one, place) => <Attachment key={place} attachment={one} />)}</section>;
}

function Attachment({ attachment: { name, type, data, size: bytes, attempt } }) {
  const address = `data:${type};base64,${data}`;
  return (
    <figure class="attachment">
      <figcaption>{data ? <a href={address} download={name}>{name}</a> : name} <span class="facts">{attempt && `attempt ${attempt}, `}{bytes < 1024 ? `${bytes} bytes` : size(bytes)}{data || !bytes ? "" : ", too large for this page: the JSON report has it"}</span></figcaption>
      {data && /^image\/(png|jpeg|gif|webp|svg\+xml|avif)$/.test(type) && <img src={address} alt={name} />}
      {data && /^(text\/|application\/(json|xml))/.test(type) && <Output title={name} text={textOf(data)} />}
    </figure>
  );
}
