// Where the time went, and which tests passed only at a later attempt or left something behind.
import { hashOf } from "./address.js";
import { duration, plural } from "./format.js";
import { Mark } from "./mark.jsx";

const MOST = 25;

export function Overview({ run, open }) {
  const slowest = run.tests.slice().sort((one, other) => other.duration - one.duration).slice(0, MOST).filter((test) => test.duration > 0);
  const total = run.tests.reduce((sum, test) => sum + test.duration, 0), most = slowest[0]?.duration || 1;
  const flaky = run.tests.filter((test) => test.flaky), leaky = run.tests.filter((test) => test.leaks.length);
  const hungry = run.tests.filter((test) => test.memory).sort((one, other) => other.memory - one.memory).slice(0, MOST);
  const item = (test, what, part) => (
    <li key={test.key} class="with-bar"><i class={test.kind} style={{ width: `${part * 100}%` }} aria-hidden="true" />
      <a href={hashOf({ view: "overview", test: test.key })} title={test.id} onClick={(event) => { event.preventDefault(); open(test); }}><Mark kind={test.kind} /> <span class="name"><bdi>{test.id}</bdi></span></a>
      <span class="what">{what}</span></li>
  );
  const list = (id, title, tests, describe, partOf, none, more) => (
    <section aria-labelledby={id}>
      <h2 id={id}>{title}</h2>
      {tests.length ? <ol>{tests.slice(0, MOST).map((test) => item(test, describe(test), partOf(test)))}</ol> : <p class="facts">{none}</p>}
      {more && <p class="facts">{more}</p>}
    </section>
  );
  return (
    <div class="overview" tabIndex={0} role="region" aria-label="Slow and flaky tests">
      {list("slowest", "Slowest", slowest, (test) => duration(test.duration), (test) => test.duration / most, "No test took any time.",
        slowest.length > 0 && `${plural(slowest.length, "test")} of ${run.tests.length.toLocaleString("en")} took ${Math.round(slowest.reduce((sum, test) => sum + test.duration, 0) / (total || 1) * 100)} % of all tests' time.`)}
      {list("flakiest", "Flaky", flaky, (test) => plural(test.attempts.length, "attempt"), () => 0, "No test needed a second attempt.")}
      {list("leakiest", "Left something behind", leaky, (test) => plural(test.leaks.length, "leak"), () => 0, "No test left anything behind.")}
      {hungry.length > 0 && list("hungriest", "Most memory", hungry, (test) => `${(test.memory / 1048576).toFixed(1)} MiB`, (test) => test.memory / hungry[0].memory, "")}
    </div>
  );
}
