// The last runs of each test, and what they say about it: does it fail, is it flaky, does it get slower?
const GOOD = new Set(["passed", "expectedFailure", "skipped"]);

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

function kindOf({ outcome, cause }) {
  return cause === "flaky" ? "flaky" : outcome;
}

// the difference between the first and the second half of the runs, as a part of the first
function changeOf(runs) {
  const half = Math.floor(runs.length / 2), before = half ? mean(runs.slice(0, half).map((run) => run.duration)) : 0;
  return before > 0 ? mean(runs.slice(half).map((run) => run.duration)) / before - 1 : null;
}

function describe({ id, message, runs: recorded }) {
  const runs = recorded.map(([at, duration, outcome, cause]) => ({ at, duration, outcome, cause, kind: kindOf({ outcome, cause }) }));
  const good = runs.filter((run) => GOOD.has(run.outcome) && run.cause !== "flaky" && run.cause !== "quarantine").length;
  const last = runs.at(-1), fails = !GOOD.has(last.outcome) || last.cause === "quarantine";
  let failing = 0;
  while (failing < runs.length && !GOOD.has(runs.at(-1 - failing).outcome)) failing += 1;
  const rank = fails ? 0 : good < runs.length ? 1 : 2, leaf = id.slice(id.lastIndexOf(".") + 1);
  return {
    key: id, id, message, runs, good, last, failing, rank, leaf, above: id.slice(0, Math.max(0, id.length - leaf.length - 1)),
    since: failing ? runs[runs.length - failing].at : null, duration: last.duration, change: changeOf(runs), text: `${id}\n${message}`.toLowerCase(),
    reason: fails || good < runs.length ? message.trim().split("\n")[0] : "",
  };
}

export class Past {
  constructor(data) {
    this.tests = (data?.tests || []).filter((test) => test.runs.length).map(describe);
    this.path = data?.path || "";
    this.of = data?.of ?? this.tests.length;
    this.byId = new Map(this.tests.map((test) => [test.id, test]));
  }

  get lastAt() { return this.tests.reduce((most, test) => Math.max(most, test.last.at), 0); }
}

export const PAST_COLUMNS = [
  { key: "outcome", title: "Runs", of: (test) => [test.rank, test.rank === 1 ? test.good / test.runs.length : -test.duration] },
  { key: "test", title: "Test", of: (test) => [test.id] },
  { key: "rate", title: "Passed", of: (test) => [test.good / test.runs.length] },
  { key: "time", title: "Time", of: (test) => [-test.duration] },
  { key: "change", title: "Change", of: (test) => [-(test.change ?? -1e9)] },
];

export function choosePast(tests, { query, sort, down }) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const { of } = PAST_COLUMNS.find((column) => column.key === sort) || PAST_COLUMNS[0], turn = down ? -1 : 1;
  const keyed = tests.filter((test) => words.every((word) => test.text.includes(word))).map((test) => [[...of(test), test.id], test]);
  const compare = ([one], [other]) => {
    const place = one.findIndex((value, at) => value !== other[at]);
    return place < 0 ? 0 : one[place] < other[place] ? -turn : turn;
  };
  return keyed.sort(compare).map(([, test]) => test);
}
