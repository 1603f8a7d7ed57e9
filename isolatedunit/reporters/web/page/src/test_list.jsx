// All tests that are chosen, in a table of which the document has only the rows in view.
import { useEffect, useRef } from "preact/hooks";
import { hashOf } from "./address.js";
import { WORDS, duration, size } from "./format.js";
import { Mark } from "./mark.jsx";
import { COLUMNS } from "./search.js";
import { useVirtual } from "./virtual.js";

const LOW = 36, HIGH = 58;  // pixels of a row without and with a line that says why

export function TestList({ run, tests, shown, change, open, selected }) {
  const scroller = useRef(null), virtualizer = useVirtual(tests, (test) => (test.reason ? HIGH : LOW), scroller);
  const place = selected ? tests.indexOf(selected) : -1;
  useEffect(() => { if (place >= 0) virtualizer.scrollToIndex(place, { align: "auto" }); }, [selected?.key]);
  const sort = (column) => change({ sort: column.key, down: shown.sort === column.key && !shown.down });
  return (
    <div class="scroll" id="scroll" ref={scroller} role="region" aria-label="Table of tests" tabIndex={0}>
      <div id="tests" role="table" aria-label="Tests" aria-rowcount={tests.length + 1}>
        <div role="rowgroup" class="heads">
          <div role="row" aria-rowindex={1} class="row">
            {COLUMNS.map((column) => (
              <span key={column.key} role="columnheader" class={column.key} aria-sort={shown.sort === column.key ? (shown.down ? "descending" : "ascending") : undefined}>
                <button type="button" onClick={() => sort(column)}><span class="word">{column.title}</span><i aria-hidden="true">{shown.sort === column.key ? (shown.down ? " ↓" : " ↑") : column.key === "outcome" ? " ↕" : ""}</i></button>
              </span>
            ))}
          </div>
        </div>
        <div role="rowgroup" id="rows" style={{ height: `${virtualizer.getTotalSize()}px` }}>
          {virtualizer.getVirtualItems().map((item) => (
            <Row key={item.key} test={tests[item.index]} place={item.index + 2} top={item.start} height={item.size} shown={shown} open={open} isSelected={tests[item.index] === selected} />
          ))}
        </div>
      </div>
      {!tests.length && <Empty run={run} change={change} />}
    </div>
  );
}

function Row({ test, place, top, height, shown, open, isSelected }) {
  const show = (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;  // a new tab, by the link
    event.preventDefault();
    event.stopPropagation();  // the row has the same handler as its link
    open(test);
  };
  const above = test.cls ? `${test.module}.${test.cls}` : test.module;
  return (
    <div role="row" class={`row ${isSelected ? "selected" : ""}`} aria-rowindex={place} style={{ transform: `translateY(${top}px)`, height: `${height}px` }} onClick={show}>
      <span role="cell" class={`outcome ${test.kind}`}><Mark kind={test.kind} /> <span class="word">{WORDS[test.kind] || test.kind}</span></span>
      <span role="cell" class="test">
        <a class="name" href={hashOf({ ...shown, test: test.key })} title={test.id} aria-current={isSelected ? "true" : undefined} onClick={show}><span class="leaf"><bdi>{test.leaf}</bdi></span><span class="above"><bdi>{above}</bdi></span></a>
        <span class="marks">
          {test.flaky && <span class="tag flaky">{test.attempts.length} attempts</span>}
          {test.leaks.length > 0 && <span class="tag leaky">leaked</span>}
          {test.quarantine && <span class="tag">quarantine</span>}
          {(test.tags || []).map((tag) => <span key={tag} class="tag">{tag}</span>)}
        </span>
        {test.reason && <span class="why">{test.reason}</span>}
      </span>
      <span role="cell" class="time">{duration(test.duration)}</span>
      <span role="cell" class="memory">{size(test.memory)}</span>
      <span role="cell" class="cpu">{test.cpu === undefined ? "" : duration(test.cpu)}</span>
    </div>
  );
}

function Empty({ run, change }) {
  if (run.isOn && !run.tests.length) return <p class="empty">No test has ended yet.</p>;
  if (!run.tests.length) return <p class="empty"><b>No test was run.</b><br />Does the pattern match the names of your files? <code>python -m isolatedunit list</code> shows which tests are found.</p>;
  return <p class="empty"><b>No test matches.</b><br /><button type="button" class="act" onClick={() => change({ query: "", outcomes: [], scope: "" })}>Show all {run.tests.length.toLocaleString("en")}</button></p>;
}
