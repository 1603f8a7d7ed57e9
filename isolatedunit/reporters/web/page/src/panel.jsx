// One test beside the list: why it failed, what it wrote, its attempts, and how to run it again.
import { useEffect, useRef } from "preact/hooks";
import { Attachments } from "./attachments.jsx";
import { Attempts } from "./attempts.jsx";
import { Copy } from "./copy.jsx";
import { Curve } from "./curve.jsx";
import { Earlier } from "./earlier.jsx";
import { Failure, Place } from "./failure.jsx";
import { WORDS, duration, size } from "./format.js";
import { isBad } from "./run.js";
import { Mark } from "./mark.jsx";
import { Output } from "./output.jsx";

export function Panel({ run, test, watched, close, step, act }) {
  const title = useRef(null), key = test ? test.key : watched.attempt, first = useRef(true);
  useEffect(() => {
    title.current?.closest(".panel").scrollTo(0, 0);
    if (!first.current || document.activeElement?.closest("[role=table]")) title.current?.focus({ preventScroll: true });
    first.current = false;
  }, [key]);
  return (
    <aside class="panel" aria-labelledby="name">
      <div class="bar">
        {test && <>
          <button type="button" class="act" onClick={() => step(-1)} title="Previous failure (k)">‹ Previous</button>
          <button type="button" class="act" onClick={() => step(1)} title="Next failure (j)">Next ›</button>
        </>}
        {test && run.live && (isBad(test) || run.live.over) && <button type="button" class="act" onClick={() => act("again", { test: test.id })}>Run again</button>}
        <button type="button" class="act close" onClick={close} title="Close (Esc)">Close</button>
      </div>
      {test ? <Finished run={run} test={test} title={title} /> : <Live watched={watched} running={run.running.find((one) => one.attempt === watched.attempt)} title={title} />}
    </aside>
  );
}

function Title({ test, title }) {
  return (
    <h2 id="name" ref={title} tabIndex={-1}>
      <span class="above">{test.cls ? `${test.module}.${test.cls}` : test.module}</span><span class="leaf">{test.leaf}</span>
    </h2>
  );
}

function Finished({ run, test, title }) {
  const notes = test.notes || [], slices = run.slicesOf(test);
  const curves = slices.filter((slice) => slice.samples?.length > 1);
  const facts = [duration(test.duration), test.memory && `${size(test.memory)} of memory`, test.cpu && `${duration(test.cpu)} of CPU time`, test.cause && `cause: ${test.cause}`].filter(Boolean);
  return <>
    <Title test={test} title={title} />
    <p class="outcome-line"><span class={`badge ${test.kind}`}><Mark kind={test.kind} /> {WORDS[test.kind]}{test.flaky ? `: ${test.outcome} in the end` : ""}</span>
      {(test.tags || []).map((tag) => <span key={tag} class="tag">{tag}</span>)} <span class="facts">{facts.join(" · ")}</span></p>
    {test.location && <p class="facts"><Place file={test.location[0]} line={test.location[1]} base={run.about.directory} /></p>}
    {test.quarantine && <p>In quarantine: {test.quarantine}</p>}
    {test.command && <p class="command"><code>{test.command}</code><Copy text={test.command} what="the command that runs this test again" /></p>}
    {notes.map((note, place) => <Failure key={place} note={note} base={run.about.directory} />)}
    {!notes.length && test.message && <p class="message">{test.message}</p>}
    <Attachments attempts={test.attempts} />
    <Output title="Standard output" text={test.stdout} />
    <Output title="Standard error" text={test.stderr} />
    {test.leaks.length > 0 && <section><h3>Left behind</h3><ul class="leaks">{test.leaks.map((leak, place) => <li key={place}>{leak}</li>)}</ul></section>}
    {test.subtests?.length > 0 && <section><h3>Subtests</h3><ul class="leaks">{test.subtests.map((one, place) => <li key={place}><Mark kind={one.outcome} /> {one.id}</li>)}</ul></section>}
    {test.attempts.length > 0 && <Attempts attempts={test.attempts} slices={slices} />}
    {curves.map((slice, place) => <Curve key={`${test.key} ${place}`} title={curves.length > 1 ? `Memory of attempt ${slices.indexOf(slice) + 1}` : "Memory"} points={slice.samples} />)}
    {run.past.byId.has(test.id) && <Earlier test={run.past.byId.get(test.id)} isBeside />}
    {isBad(test) && !test.command && run.about.command && <p class="facts">No command runs just this test.</p>}
  </>;
}

// a test that still runs: what was asked for, and what is told each time
function Live({ watched, running, title }) {
  const leaf = watched.test.slice(watched.test.lastIndexOf(".") + 1), above = watched.test.slice(0, Math.max(0, watched.test.length - leaf.length - 1));
  return <>
    <Title test={{ module: above, leaf }} title={title} />
    <p class="outcome-line"><span class="badge running"><Mark kind="running" /> {running ? "running" : "no longer running"}</span> <span class="facts">
      {running ? [duration(running.age), running.phase, size(running.memory)].filter(Boolean).join(" · ") : ""}</span></p>
    {watched.stacks && <Output title="Stacks" text={watched.stacks} />}
    {running?.curve.length > 1 && <Curve title="Memory" points={running.curve} />}
  </>;
}
