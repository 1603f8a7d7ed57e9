// The search above the list, and what it may be narrowed by.
import { useMemo } from "preact/hooks";
import { plural } from "./format.js";

export function Toolbar({ run, shown, change, tests, search }) {
  const offered = useMemo(() => {
    const causes = new Set(), tags = new Set();
    for (const test of run.tests) {
      if (test.cause) causes.add(test.cause);
      for (const tag of test.tags || []) tags.add(tag);
    }
    return [...[...causes].sort().map((one) => `cause:${one}`), ...[...tags].sort().slice(0, 100).map((one) => `tag:${one}`)];
  }, [run.version]);
  const add = (word) => change({ query: shown.query.split(/\s+/).includes(word) ? shown.query : `${shown.query} ${word}`.trim() });
  const narrowed = shown.query || shown.outcomes.length || shown.scope, all = run.tests.length;
  return (
    <form class="toolbar" role="search" onSubmit={(event) => event.preventDefault()}>
      <input type="search" id="search" ref={search} value={shown.query} autocomplete="off" spellcheck={false}
        placeholder="Search: word, tag:slow, >1s" aria-label="Search tests by name, message, tag, cause, outcome or duration"
        onInput={(event) => change({ query: event.target.value })} />
      {offered.length > 0 && (
        <select aria-label="Narrow by cause or tag" value="" onChange={(event) => { add(event.target.value); event.target.value = ""; }}>
          <option value="">Cause, tag</option>
          {offered.map((word) => <option key={word}>{word}</option>)}
        </select>
      )}
      <output id="shown" for="search" aria-live="polite">{narrowed ? `${tests.length.toLocaleString("en")} of ${plural(all, "test")}` : plural(all, "test")}</output>
      {narrowed ? <button type="button" class="act" onClick={() => change({ query: "", outcomes: [], scope: "" })}>Show all</button> : null}
    </form>
  );
}
