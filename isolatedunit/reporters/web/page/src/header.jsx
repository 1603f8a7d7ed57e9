// What became of the run, and how to have it again.
import { Copy } from "./copy.jsx";
import { KINDS } from "./run.js";
import { duration, plural, worded } from "./format.js";
import { Mark } from "./mark.jsx";

export function Header({ run, shown, change, message, act, help }) {
  const { about, verdict, counts, tests, live } = run;
  const facts = [
    run.isOn ? "" : duration(about.duration), about.jobs && `${about.jobs} at a time`, about.isolation && `a process per ${about.isolation}`.replace("a process per none", "not isolated"),
    about.start_method, about.python && `Python ${about.python}`, about.platform, about.started_at && new Date(about.started_at).toLocaleString(),
    about.seed !== null && about.seed !== undefined && `seed ${about.seed}`, about.shard && `shard ${about.shard.part} of ${about.shard.of}`,
  ].filter(Boolean);
  const kinds = KINDS.filter((kind) => counts[kind]), { leaked } = run;
  const toggle = (kind) => change({ view: "tests", outcomes: shown.outcomes.includes(kind) ? shown.outcomes.filter((one) => one !== kind) : [...shown.outcomes, kind] });
  const leaky = shown.query.split(/\s+/).includes("is:leaky");
  const toggleLeaky = () => change({ view: "tests", query: leaky ? shown.query.replace(/\s*is:leaky/, "") : `${shown.query} is:leaky`.trim() });
  const done = tests.length || 1;
  return (
    <header class="top">
      <div class="verdict">
        <h1><span class={`badge ${verdict.kind}`}>{verdict.word}</span> <span id="verdict">{verdict.text}</span></h1>
        {live?.over && <span class="buttons">
          {run.failed > 0 && <button type="button" class="act" onClick={() => act("rerun", { which: "failed" })}>Run failed again</button>}
          <button type="button" class="act" onClick={() => act("rerun", { which: "all" })}>Run all again</button>
        </span>}
        <button type="button" class="act quiet" aria-label="Keys and settings" title="Keys and settings (?)" onClick={help}>?</button>
      </div>
      {about.command && <p class="command"><code>{about.command}</code><Copy text={about.command} what="the command of this run" /></p>}
      {about.rerun_command && run.failed > 0 && <p class="command again"><span class="label">Failed tests again:</span> <code>{about.rerun_command}</code><Copy text={about.rerun_command} what="the command that runs the failed tests again" /></p>}
      <div class="proportions" aria-hidden="true">
        {kinds.map((kind) => <i key={kind} class={kind} style={{ flexGrow: counts[kind] / done }} />)}
        {run.progress?.planned > tests.length && <i class="to-come" style={{ flexGrow: (run.progress.planned - tests.length) / done }} />}
      </div>
      <ul id="counts" class="counts" aria-label="Show only">
        {kinds.map((kind) => (
          <li key={kind}><button type="button" aria-pressed={shown.outcomes.includes(kind)} onClick={() => toggle(kind)}>
            <Mark kind={kind} /> <b>{counts[kind].toLocaleString("en")}</b> {worded(kind, counts[kind])}
          </button></li>
        ))}
        {leaked > 0 && <li><button type="button" aria-pressed={leaky} onClick={toggleLeaky}><Mark kind="leaky" /> <b>{leaked.toLocaleString("en")}</b> leaked</button></li>}
        {run.notRun.length > 0 && <li class="not-run" title={run.notRun.slice(0, 30).join("\n")}><b>{run.notRun.length.toLocaleString("en")}</b> not run</li>}
      </ul>
      <p class="facts">{facts.join(" · ")}</p>
      <p class="message" role="status">{message}</p>
      {run.notRun.length > 0 && <details class="not-run"><summary>{plural(run.notRun.length, "test")} not run</summary><ul>{run.notRun.slice(0, 500).map((id) => <li key={id}>{id}</li>)}</ul></details>}
    </header>
  );
}
