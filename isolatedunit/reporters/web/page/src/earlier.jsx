// The last runs of one test: how long each took, and how it ended.
import { useMemo } from "preact/hooks";
import { Curve } from "./curve.jsx";
import { WORDS, duration, plural } from "./format.js";
import { Mark } from "./mark.jsx";

const dateOf = (at) => new Date(at * 1000).toLocaleString();

// *isBeside* the result of a run, which says itself why the test failed
export function Earlier({ test, isBeside }) {
  const points = useMemo(() => test.runs.map((run, place) => [place, run.duration]), [test]);
  const day = (place) => (Number.isInteger(place) && test.runs[place] ? new Date(test.runs[place].at * 1000).toLocaleDateString() : "");
  const { good, runs, failing, since } = test;
  return <>
    <p class="facts">{failing > 0 ? `It has failed ${failing === 1 ? "once" : `${failing} times in a row`}, since ${dateOf(since)}` : good < runs.length ? `It passed in ${good} of the last ${plural(runs.length, "run")}` : runs.length === 1 ? "It passed in the only run on record" : `It passed in all of the last ${plural(runs.length, "run")}`}</p>
    {!isBeside && failing > 0 && test.message && <p class="said failed">{test.message}</p>}
    {points.length > 1 && <Curve title="Time of the last runs" points={points} format={duration} formatX={day} />}
    <section>
      <h3>Last runs</h3>
      <div class="wide-table" role="region" aria-label="Last runs" tabIndex={0}>
        <table>
          <thead><tr>{["When", "Outcome", "Cause", "Time"].map((text) => <th key={text} scope="col">{text}</th>)}</tr></thead>
          <tbody>{runs.slice().reverse().map((run, place) => (
            <tr key={place}><td>{dateOf(run.at)}</td><td class={run.kind}><Mark kind={run.kind} /> {WORDS[run.kind] || run.kind}</td><td>{run.cause}</td><td>{duration(run.duration)}</td></tr>
          ))}</tbody>
        </table>
      </div>
    </section>
  </>;
}

export function EarlierPanel({ test, close }) {
  return (
    <aside class="panel" aria-labelledby="name">
      <div class="bar"><button type="button" class="act close" onClick={close} title="Close (Esc)">Close</button></div>
      <h2 id="name"><span class="above">{test.above}</span><span class="leaf">{test.leaf}</span></h2>
      <Earlier test={test} />
    </aside>
  );
}
