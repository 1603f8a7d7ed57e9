// Which tests are shown, and in which order.
import { KINDS } from "./run.js";

export const COLUMNS = [
  { key: "outcome", title: "Outcome", of: (test) => KINDS.indexOf(test.kind) },
  { key: "test", title: "Test", of: (test) => test.id },
  { key: "time", title: "Time", of: (test) => -test.duration },
  { key: "memory", title: "Memory", of: (test) => -(test.memory || 0) },
  { key: "cpu", title: "CPU", of: (test) => -(test.cpu || 0) },
];

const UNITS = { ms: 0.001, s: 1, m: 60, min: 60 };
const DURATION = /^([<>])(\d+(?:\.\d+)?)(ms|s|min|m)?$/;

// the words of a search: each has to hold. `tag:slow`, `cause:timeout`, `outcome:failed`, `is:leaky`, `>1s`, `-word`
export function parse(text) {
  const words = text.match(/"[^"]*"|\S+/g) || [];
  return words.map((typed) => {
    const not = typed.length > 1 && typed.startsWith("-"), word = (not ? typed.slice(1) : typed).replaceAll('"', "");
    const held = conditionOf(word);
    return not ? (test) => !held(test) : held;
  });
}

function conditionOf(word) {
  const time = word.match(DURATION);
  if (time) {
    const limit = Number(time[2]) * UNITS[time[3] || "s"];
    return time[1] === "<" ? (test) => test.duration < limit : (test) => test.duration > limit;
  }
  const [, key, value] = word.match(/^(tag|cause|outcome|is):(.+)$/) || [];
  const lower = (value || word).toLowerCase();
  if (key === "tag") return (test) => (test.tags || []).some((tag) => tag.toLowerCase() === lower);
  if (key === "cause") return (test) => test.cause === lower;
  if (key === "outcome") return (test) => test.kind.toLowerCase() === lower || test.outcome.toLowerCase() === lower;
  if (key === "is") return (test) => (lower === "leaky" ? test.leaks.length > 0 : lower === "flaky" ? Boolean(test.flaky) : Boolean(test[lower]));
  return (test) => test.text.includes(lower);
}

export function isWithin(test, scope) {
  if (!scope) return true;
  const place = test.cls ? `${test.module}.${test.cls}` : test.module;
  return place === scope || test.module === scope || place.startsWith(`${scope}.`);
}

export function choose(tests, { query, outcomes, scope, sort, down }) {
  const conditions = parse(query);
  const chosen = tests.filter((test) => (
    (!outcomes.length || outcomes.includes(test.kind)) && isWithin(test, scope) && conditions.every((holds) => holds(test))));
  const { of } = COLUMNS.find((column) => column.key === sort) || COLUMNS[0], turn = down ? -1 : 1;
  const keyed = chosen.map((test) => [of(test), test]);
  keyed.sort(([a, one], [b, other]) => (a < b ? -turn : a > b ? turn : one.number - other.number));
  return keyed.map(([, test]) => test);
}
