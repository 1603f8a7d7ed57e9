// The history: the last runs of each test in a list, failing and flaky tests first, and the runs of one beside it.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { hashOf, useAddress } from "./address.js";
import { EarlierPanel } from "./earlier.jsx";
import { WORDS, duration, plural } from "./format.js";
import { Keys, useKeys } from "./keys.jsx";
import { Mark } from "./mark.jsx";
import { PAST_COLUMNS, Past, choosePast } from "./past.js";
import { useVirtual } from "./virtual.js";

const LOW = 36, HIGH = 58, MOST_SQUARES = 20;

export function HistoryPage({ data }) {
  const past = useState(() => new Past(data))[0];
  const [shown, change] = useAddress(), [help, setHelp] = useState(false), search = useRef(null);
  const test = past.byId.get(shown.test);
  useKeys({ "/": () => search.current?.focus(), "?": () => setHelp(!help), Escape: () => (help ? setHelp(false) : change({ test: "" })) });
  const failing = past.tests.filter((one) => one.rank === 0).length, flaky = past.tests.filter((one) => one.rank === 1).length;
  return (
    <div class={`page ${test ? "with-panel" : ""}`}>
      <header class="top">
        <div class="verdict"><h1>Test history</h1><button type="button" class="act quiet" aria-label="Keys and settings" onClick={() => setHelp(!help)}>?</button></div>
        <p class="facts">{plural(past.tests.length, "test")} in {past.path}{past.tests.length ? `, last run ${new Date(past.lastAt * 1000).toLocaleString()}` : ""} · {failing} failing · {flaky} flaky</p>
      </header>
      <main class="view history">
        <HistoryList past={past} shown={shown} change={change} search={search} />
        {test && <EarlierPanel test={test} close={() => change({ test: "" })} />}
      </main>
      {help && <Keys close={() => setHelp(false)} />}
    </div>
  );
}

export function HistoryList({ past, shown, change, search }) {
  const scroller = useRef(null), tests = useMemo(() => choosePast(past.tests, shown), [past, shown.query, shown.sort, shown.down]);
  const virtualizer = useVirtual(tests, (test) => (test.reason ? HIGH : LOW), scroller);
  useEffect(() => scroller.current.scrollTo(0, 0), [shown.query, shown.sort, shown.down]);
  const sort = (column) => change({ sort: column.key, down: shown.sort === column.key && !shown.down });
  return (
    <section class="listing" aria-label="Tests of past runs">
      <form class="toolbar" role="search" onSubmit={(event) => event.preventDefault()}>
        <input type="search" id="search" ref={search} value={shown.query} autocomplete="off" spellcheck={false} placeholder="Search" aria-label="Search past tests by name or message"
          onInput={(event) => change({ query: event.target.value })} />
        <output id="shown" for="search" aria-live="polite">{plural(tests.length, "test")}{past.of > past.tests.length ? ` of ${past.of.toLocaleString("en")}: those that fail, are flaky or slow` : ""}</output>
      </form>
      <div class="scroll" id="scroll" ref={scroller} role="region" aria-label="Table of past tests" tabIndex={0}>
        <div id="tests" class="past" role="table" aria-label="Past tests" aria-rowcount={tests.length + 1}>
          <div role="rowgroup" class="heads"><div role="row" aria-rowindex={1} class="row">
            {PAST_COLUMNS.map((column) => (
              <span key={column.key} role="columnheader" class={column.key} aria-sort={shown.sort === column.key ? (shown.down ? "descending" : "ascending") : undefined}>
                <button type="button" onClick={() => sort(column)}>{column.title}<i aria-hidden="true">{shown.sort === column.key ? (shown.down ? " ↓" : " ↑") : ""}</i></button>
              </span>
            ))}
          </div></div>
          <div role="rowgroup" id="rows" style={{ height: `${virtualizer.getTotalSize()}px` }}>
            {virtualizer.getVirtualItems().map((item) => <Row key={item.key} test={tests[item.index]} item={item} shown={shown} change={change} />)}
          </div>
        </div>
        {!tests.length && <p class="empty">{past.tests.length ? "No test matches." : "No run was recorded yet."}</p>}
      </div>
    </section>
  );
}

function Row({ test, item, shown, change }) {
  const show = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    event.preventDefault();
    event.stopPropagation();  // the row has the same handler as its link
    change({ test: test.id });
  };
  const runs = test.runs.slice(-MOST_SQUARES), isSelected = shown.test === test.id;
  return (
    <div role="row" class={`row ${isSelected ? "selected" : ""}`} aria-rowindex={item.index + 2} style={{ transform: `translateY(${item.start}px)`, height: `${item.size}px` }} onClick={show}>
      <span role="cell" class="runs"><span class="squares" role="img" aria-label={`${plural(runs.length, "run")}, the last one ${WORDS[test.last.kind] || test.last.kind}`}>{runs.map((run, place) => <Mark key={place} kind={run.kind} />)}</span></span>
      <span role="cell" class="test">
        <a class="name" href={hashOf({ ...shown, test: test.id })} title={test.id} onClick={show}><span class="leaf"><bdi>{test.leaf}</bdi></span><span class="above"><bdi>{test.above}</bdi></span></a>
        {test.reason && <span class="why">{test.reason}</span>}
      </span>
      <span role="cell" class="rate">{Math.round(test.good / test.runs.length * 100)} %</span>
      <span role="cell" class="time">{duration(test.duration)}</span>
      <span role="cell" class="change">{test.change === null ? "" : `${test.change >= 0 ? "+" : "−"}${Math.round(Math.abs(test.change) * 100)} %`}</span>
    </div>
  );
}
