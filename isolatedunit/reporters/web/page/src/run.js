// The run that the page shows: tests as they came, and what is derived from them once.
import { duration, plural, roughly } from "./format.js";
import { Past } from "./past.js";

export const KINDS = ["failed", "error", "unexpectedSuccess", "flaky", "skipped", "expectedFailure", "passed"];
const BAD = new Set(["failed", "error", "unexpectedSuccess"]);

export const isBad = (test) => BAD.has(test.outcome);

// the cause and the first line of the message or, if that is empty, the name of the exception; for a module that cannot be
// imported the last line, after the traceback
function reasonOf(test) {
  const lines = (test.message || "").trim().split("\n");
  const line = lines[0].startsWith("Failed to import test module: ") ? lines.at(-1) : lines[0];
  const raised = (test.notes || []).find((note) => note.outcome === test.outcome)?.exception;
  return [test.cause, line || raised].filter(Boolean).join(": ");
}

// a fixture is named like `setUpClass (pkg.module.Class)`
const FIXTURE = /^(\w+) \((.+)\)$/;

function placeOf(test) {
  const fixture = test.id.match(FIXTURE);
  const full = fixture ? fixture[2] : test.id;
  const end = fixture ? full.length : full.lastIndexOf(".");
  const above = full.slice(0, Math.max(end, 0));
  const module = test.module || (fixture && fixture[1].endsWith("Module") ? above : above.slice(0, Math.max(above.lastIndexOf("."), 0)));
  const inModule = above === module || above.startsWith(`${module}.`);
  const cls = inModule ? above.slice(module.length + 1) : above;
  return { leaf: fixture ? fixture[1] : full.slice(end + 1), module: module || "(no module)", cls };
}

export class Run {
  constructor(data) {
    Object.assign(this, { about: data.run, notRun: data.not_run || [], slices: [], live: data.live || null });
    Object.assign(this, { tests: [], running: [], counts: {}, byKey: new Map(), progress: data.progress || null, version: 0 });
    this.past = new Past(data.past);
    this.slicesByTest = null;
    this.addSlices(data.slices || []);
    this.add(data.tests || []);
  }

  addSlices(slices) {
    for (const slice of slices) {
      slice.phases ||= {};
      this.slices.push(slice);
    }
    if (slices.length) this.slicesByTest = null;
  }

  add(tests) {
    for (const test of tests) {
      let key = test.id;
      for (let more = 2; this.byKey.has(key); more += 1) key = `${test.id}#${more}`;
      const attempts = test.attempts || [];
      Object.assign(test, placeOf(test), { key, number: this.tests.length, attempts, kind: test.flaky ? "flaky" : test.outcome });
      test.reason = reasonOf(test);
      test.duration ||= 0;
      test.text = [test.id, test.message, test.cause, ...(test.tags || [])].filter(Boolean).join("\n").toLowerCase();
      test.leaks = attempts.flatMap((one) => one.leaks || []);
      this.byKey.set(key, test);
      this.tests.push(test);
      this.counts[test.kind] = (this.counts[test.kind] || 0) + 1;
    }
    this.version += 1;
  }

  // what the server tells during the run
  take(update) {
    this.add(update.tests || []);
    this.addSlices(update.slices || []);
    Object.assign(this.about, update.run || {});
    if (update.not_run) this.notRun = update.not_run;
    if (update.progress) this.progress = update.progress;
    if (update.running) this.running = this.withCurves(update.running);
    this.version += 1;
  }

  // the memory of what runs, as it was told each time
  withCurves(running) {
    const before = new Map(this.running.map((one) => [one.attempt, one]));
    return running.map((one) => {
      const curve = before.get(one.attempt)?.curve || [];
      return { ...one, curve: one.memory ? [...curve.slice(-600), [one.age, one.memory]] : curve };
    });
  }

  // the run is over, and its server waits for what to run next
  rest() {
    this.live.over = true;
    this.running = [];
    this.version += 1;
  }

  end() {
    this.live = null;
    this.running = [];
    this.version += 1;
  }

  // with a server that stays, the page still has buttons when the run is over
  get isOn() { return Boolean(this.live && !this.live.over); }
  get failed() { return (this.counts.failed || 0) + (this.counts.error || 0) + (this.counts.unexpectedSuccess || 0); }
  get leaked() { return this.tests.reduce((sum, test) => sum + (test.leaks.length > 0), 0); }

  get verdict() {
    const { failed, tests } = this, all = tests.length;
    if (this.isOn) return { kind: "running", word: "Running", text: this.progressText };
    if (failed) return { kind: "failed", word: "Failed", text: `${failed.toLocaleString("en")} of ${plural(all, "test")} failed` };
    if (this.about.cut_off) return { kind: "error", word: "Incomplete", text: `the run was cut off after ${plural(all, "test")}` };
    if (!all) return { kind: "skipped", word: "Nothing ran", text: "no test was run" };
    const skipped = this.counts.skipped || 0;
    const text = skipped === all ? `${plural(all, "test")}, all skipped` : `${plural(all, "test")} in ${duration(this.about.duration)}`;
    return { kind: "passed", word: "Passed", text };
  }

  get progressText() {
    const { done = this.tests.length, planned = 0, left } = this.progress || {};
    const text = planned ? `${done.toLocaleString("en")} of ${plural(planned, "test")}` : plural(this.tests.length, "test");
    return left ? `${text}, about ${roughly(left)} left` : text;
  }

  // the attempts of the timeline that had a test, in the order in which they began
  slicesOf(test) {
    if (!this.slicesByTest) {
      this.slicesByTest = new Map();
      for (const slice of this.slices) {
        for (const id of slice.tests) {
          if (!this.slicesByTest.has(id)) this.slicesByTest.set(id, []);
          this.slicesByTest.get(id).push(slice);
        }
      }
    }
    return (this.slicesByTest.get(test.id) || []).slice().sort((one, other) => one.begin - other.begin);
  }
}
