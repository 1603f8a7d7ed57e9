// The page of a run: header, one of three views, and the panel of a test beside it.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { useAddress } from "./address.js";
import { plural } from "./format.js";
import { EarlierPanel } from "./earlier.jsx";
import { Header } from "./header.jsx";
import { HistoryList } from "./history.jsx";
import { Keys, useKeys } from "./keys.jsx";
import { useLive } from "./live.js";
import { Overview } from "./overview.jsx";
import { Panel } from "./panel.jsx";
import { Run, isBad } from "./run.js";
import { Running } from "./running.jsx";
import { choose } from "./search.js";
import { TestList } from "./test_list.jsx";
import { Timeline } from "./timeline.jsx";
import { Toolbar } from "./toolbar.jsx";
import { Tree } from "./tree.jsx";

const WIDE = matchMedia("(min-width: 60rem)");

export function RunPage({ data }) {
  const run = useState(() => new Run(data))[0];
  const [shown, change] = useAddress();
  const { message, act, watched, watch } = useLive(run);
  const search = useRef(null), [help, setHelp] = useState(false), [dismissed, dismiss] = useState(false);
  const tests = useMemo(() => choose(run.tests, shown), [run.version, shown.query, shown.outcomes.join(), shown.scope, shown.sort, shown.down]);
  // who opens the page of a run that failed wants to know why; a page in the making would move under the eyes
  const first = useState(() => (WIDE.matches && !data.live && !location.hash ? tests.find(isBad)?.key : ""))[0];
  const tree = useMemo(() => <Tree run={run} shown={shown} change={change} />, [run.version, shown.scope]);  // no key of a search draws it anew
  const test = run.byKey.get(shown.test || (shown.view === "tests" && !shown.query && !dismissed ? first : ""));
  const earlier = run.past.byId.get(shown.test);  // one that did not run this time
  const open = (one) => {
    const link = one ? null : document.querySelector("#rows [aria-current]");
    watch(null);
    dismiss(true);
    change({ test: one ? one.key : "" });
    link?.focus();  // who works with a keyboard goes on from there
  };
  const step = (by) => {
    const failures = tests.filter(isBad), ordered = failures.length ? failures : tests;
    const place = ordered.indexOf(test), next = ordered[place < 0 ? (by > 0 ? 0 : ordered.length - 1) : place + by];
    if (next) open(next);
  };
  useKeys({ j: () => step(1), k: () => step(-1), "/": () => search.current?.focus(), "?": () => setHelp(!help), Escape: () => (help ? setHelp(false) : open(null)) });
  const { verdict } = run;
  useEffect(() => { document.title = `${run.isOn ? verdict.text : run.failed ? `${run.failed} failed` : plural(run.tests.length, "test")} · ${verdict.word}`; });
  useEffect(() => { document.body.dataset.state = run.isOn ? "running" : "over"; }, [run.isOn]);
  const views = { tests: "Tests", timeline: "Timeline", overview: "Slow and flaky", ...(run.past.tests.length ? { history: "History" } : {}) };
  const view = views[shown.view] ? shown.view : "tests";
  return (
    <div class={`page ${test || watched || (earlier && view === "history") ? "with-panel" : ""}`}>
      <Header run={run} shown={shown} change={change} message={message} act={act} help={() => setHelp(!help)} />
      <nav class="views" aria-label="Views">
        {Object.entries(views).map(([name, title]) => (
          <a key={name} href={`#view=${name}`} aria-current={name === view ? "page" : undefined}
            onClick={(event) => { event.preventDefault(); change({ view: name }); }}>{title}</a>
        ))}
      </nav>
      <main class={`view ${view}`}>
        {view === "tests" && <>
          {tree}
          <section class="listing" aria-label="Tests">
            <Toolbar run={run} shown={shown} change={change} tests={tests} search={search} />
            {run.isOn && <Running run={run} act={act} watch={watch} />}
            <TestList run={run} tests={tests} shown={shown} change={change} open={open} selected={test} />
          </section>
        </>}
        {view === "timeline" && <Timeline run={run} open={open} selected={test} />}
        {view === "history" && <HistoryList past={run.past} shown={shown} change={change} search={search} />}
        {view === "overview" && <Overview run={run} open={open} />}
        {!test && !watched && view === "history" && earlier && <EarlierPanel test={earlier} close={() => open(null)} />}
        {(test || watched) && <Panel run={run} test={watched ? null : test} watched={watched} close={() => open(null)} step={step} act={act} />}
      </main>
      {help && <Keys close={() => setHelp(false)} />}
    </div>
  );
}
