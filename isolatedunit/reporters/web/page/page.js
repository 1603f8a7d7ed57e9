"use strict";
// The page of a run: shows the data in #data and, during the run, the updates that the server sends.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const OUTCOMES = ["failed", "error", "unexpectedSuccess", "flaky", "skipped", "expectedFailure", "passed"];
const BAD = new Set(["failed", "error", "unexpectedSuccess"]);
const COLUMNS = [
  { key: "outcome", title: "outcome", of: (test) => OUTCOMES.indexOf(kindOf(test)) },
  { key: "id", title: "test", of: (test) => test.id },
  { key: "duration", title: "seconds", number: true, of: (test) => -test.duration },
  { key: "memory", title: "MiB", number: true, wider: true, of: (test) => -(test.memory || 0) },
  { key: "cpu", title: "CPU", number: true, wider: true, of: (test) => -(test.cpu || 0) },
  { key: "why", title: "reason", wide: true, of: (test) => whyOf(test) || "\uffff" },
];
const WORDS = { unexpectedSuccess: "unexpected success", expectedFailure: "expected failure" };
const view = { sort: "outcome", down: false, text: "", hidden: new Set(), tests: [] };

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children.filter((child) => child !== null));
  return element;
}

function kindOf(test) { return test.flaky ? "flaky" : test.outcome; }
function wordOf(kind) { return WORDS[kind] || kind; }

// the cause and the first line of the message; for a module that cannot be imported the last line, after the traceback
function whyOf(test) {
  const lines = test.message.trim().split("\n");
  return [test.cause, lines[0].startsWith("Failed to import test module: ") ? lines.at(-1) : lines[0]].filter(Boolean).join(": ");
}

// the end of a name says most, so a long name is cut at its beginning, as text from right to left is
function nameOf(id) { return make("bdi", { dir: "ltr", textContent: id }); }

function seconds(value) { return value === null || value === undefined ? "" : value.toFixed(value < 10 ? 3 : 1); }
function mebibytes(value) { return value ? (value / 1048576).toFixed(1) : ""; }

function showFacts() {
  const run = data.run;
  byId("facts").textContent = [
    `${seconds(run.duration)} s`, `${run.jobs} at a time`, `isolation: ${run.isolation}`, run.start_method,
    `Python ${run.python}`, run.platform, run.started_at && new Date(run.started_at).toLocaleString(),
    run.cut_off && !data.live ? "incomplete" : "",
  ].filter(Boolean).join(" · ");
  const counts = Object.fromEntries(OUTCOMES.map((name) => [name, 0]));
  for (const test of data.tests) counts[kindOf(test)] += 1;
  const shown = [["tests", data.tests.length], ...OUTCOMES.slice().reverse().filter((name) => counts[name] || name === "passed" || name === "failed").map((name) => [name, counts[name]])];
  if (data.not_run.length) shown.push(["not run", data.not_run.length]);
  byId("counts").replaceChildren(...shown.map(([name, count]) => make("li", {}, make("b", { className: name, textContent: count }), wordOf(name))));
  const bad = OUTCOMES.reduce((sum, name) => sum + (BAD.has(name) ? counts[name] : 0), 0);
  document.title = `${bad ? `${bad} failed` : `${data.tests.length} tests`} · ${byId("title").textContent}`;
  const boxes = byId("outcomes");
  for (const name of OUTCOMES) {
    if (!counts[name] || byId(`show-${name}`)) continue;
    const box = make("input", { type: "checkbox", checked: !view.hidden.has(name), id: `show-${name}` });
    box.addEventListener("change", () => { view.hidden[box.checked ? "delete" : "add"](name); choose(); });
    boxes.append(make("label", { htmlFor: box.id, className: name }, box, ` ${wordOf(name)}`));
  }
}

// ---- the table: the document has only the rows in view and a few more

function showHeads() {
  byId("heads").replaceChildren(...COLUMNS.map((column) => {
    const button = make("button", { type: "button", textContent: column.title });
    button.addEventListener("click", () => {
      view.down = view.sort === column.key ? !view.down : false;
      view.sort = column.key;
      showHeads();
      byId("heads").children[COLUMNS.indexOf(column)].firstChild.focus();
      choose();
    });
    const head = make("th", { scope: "col", className: ["number", "wide", "wider"].filter((name) => column[name]).join(" ") }, button);
    if (view.sort === column.key) head.setAttribute("aria-sort", view.down ? "descending" : "ascending");
    return head;
  }));
}

function choose() {
  const text = view.text.toLowerCase();
  const has = (test) => !text || test.id.toLowerCase().includes(text) || test.message.toLowerCase().includes(text) || (test.cause || "").includes(text);
  const column = COLUMNS.find((one) => one.key === view.sort), turn = view.down ? -1 : 1;
  const chosen = data.tests.filter((test) => !view.hidden.has(kindOf(test)) && has(test)).map((test) => [column.of(test), test]);
  chosen.sort(([a, one], [b, other]) => (a < b ? -turn : a > b ? turn : one.number - other.number));
  view.tests = chosen.map(([, test]) => test);
  byId("shown").textContent = `${view.tests.length} of ${data.tests.length} tests`;
  byId("tests").setAttribute("aria-rowcount", view.tests.length + 1);
  showRows();
}

const ROW = 33;

function showRows() {
  const scroll = byId("scroll"), count = view.tests.length;
  const first = Math.max(0, Math.min(Math.floor(scroll.scrollTop / ROW) - 10, count - 1));
  const last = Math.min(count, first + Math.ceil(scroll.clientHeight / ROW) + 20);
  const space = (rows) => {
    const cell = make("td");  // spans one column, since a narrow screen does not show all of them
    cell.style.height = `${rows * ROW}px`;
    const row = make("tr", { className: "space" }, cell);
    row.setAttribute("aria-hidden", "true");
    return row;
  };
  const rows = view.tests.slice(first, last).map((test, place) => rowOf(test, first + place + 2));
  putRows(byId("rows"), [...(first ? [space(first)] : []), ...rows, ...(last < count ? [space(count - last)] : [])]);
}

// rows that stay keep their elements and places: during a run, somebody may be about to press one
const rowsOfTests = new Map();

function putRows(body, rows) {
  const wanted = new Set(rows);
  for (const row of [...body.children]) {
    if (wanted.has(row)) continue;
    row.remove();
    rowsOfTests.delete(row.number);
  }
  rows.forEach((row, place) => { if (body.children[place] !== row) body.insertBefore(row, body.children[place] || null); });
}

function rowOf(test, place) {
  let row = rowsOfTests.get(test.number);
  if (!row) {
    const button = make("button", { type: "button", className: "name", title: test.id }, nameOf(test.id));
    button.addEventListener("click", () => open(test));
    const cell = (text, name) => make("td", { className: name, textContent: text }), kind = kindOf(test);
    row = make("tr", { number: test.number },
      cell(wordOf(kind), kind), make("td", { className: "test" }, button), cell(seconds(test.duration), "number"),
      cell(mebibytes(test.memory), "number wider"), cell(seconds(test.cpu), "number wider"), cell(whyOf(test), "wide why"));
    rowsOfTests.set(test.number, row);
  }
  row.setAttribute("aria-rowindex", place);
  return row;
}

// ---- one test

function open(test) {
  const close = make("button", { type: "button", className: "act", textContent: "Close" });
  close.addEventListener("click", () => byId("details").close());
  const again = make("button", { type: "button", className: "act", textContent: "Run again" });
  again.addEventListener("click", () => act("again", { test: test.id }));
  const facts = [
    ["outcome", test.flaky ? `${test.outcome}, flaky` : wordOf(test.outcome)], ["cause", test.cause], ["seconds", seconds(test.duration)],
    ["memory", test.memory ? `${mebibytes(test.memory)} MiB` : ""], ["CPU", test.cpu ? `${seconds(test.cpu)} s` : ""], ["message", test.message],
  ].filter(([, value]) => value);
  const parts = [
    make("div", { className: "top" }, make("h2", { id: "name", textContent: test.id }), make("div", {}, data.live && BAD.has(test.outcome) ? again : null, " ", close)),
    make("dl", {}, ...facts.flatMap(([name, value]) => [make("dt", { textContent: name }), make("dd", { textContent: value })])),
  ];
  for (const [title, text] of [["Traceback", test.traceback], ["Standard output", test.stdout], ["Standard error", test.stderr]]) {
    if (!text) continue;
    const shown = make("pre", { textContent: text, tabIndex: 0 });
    shown.setAttribute("aria-label", title);
    shown.setAttribute("role", "region");
    parts.push(make("h3", { textContent: title }), shown);
  }
  const leaks = test.attempts.flatMap((attempt) => attempt.leaks || []);
  if (leaks.length) parts.push(make("h3", { textContent: "Left behind" }), make("ul", {}, ...leaks.map((leak) => make("li", { textContent: leak }))));
  if (test.attempts.length) parts.push(make("h3", { textContent: "Attempts" }), attemptsOf(test));
  byId("details").replaceChildren(...parts);
  byId("details").showModal();
}

function attemptsOf(test) {
  const heads = ["no.", "outcome", "cause", "seconds", "spawn", "cleanup", "CPU", "MiB", "exit", "process"];
  const body = test.attempts.map((one) => make("tr", {}, ...[
    one.number, one.outcome, one.cause || "", seconds(one.duration), seconds(one.spawn_time), seconds(one.cleanup_time),
    seconds(one.cpu_time), mebibytes(one.memory), one.signal || (one.exit_code ?? ""), one.process_id ?? "",
  ].map((text) => make("td", { textContent: text }))));
  const table = make("table", {}, make("thead", {}, make("tr", {}, ...heads.map((text) => make("th", { scope: "col", textContent: text })))), make("tbody", {}, ...body));
  const around = make("div", { className: "scroll", tabIndex: 0 }, table);
  around.style.height = "auto";
  around.setAttribute("role", "region");
  around.setAttribute("aria-label", "Attempts");
  return around;
}

// ---- the timeline: a drawing, because twenty thousand elements would be slow

const lanes = { height: 22, top: 18, chosen: -1, running: [] };
const PHASES = { spawn: .35, import: .5, fixtures: .65, tests: 1, cleanup: .35 };

// ended attempts first, then running ones
function slicesOf() { return lanes.running.length ? [...data.slices, ...lanes.running] : data.slices; }

function spanOf() { return slicesOf().reduce((most, slice) => Math.max(most, slice.end), Math.max(data.run.duration, 0.001)); }

function drawLanes() {
  const canvas = byId("timeline"), style = getComputedStyle(document.documentElement);
  const slices = slicesOf(), count = Math.max(1, slices.reduce((most, slice) => Math.max(most, slice.slot), 0));
  const width = canvas.parentElement.clientWidth, height = lanes.top + count * lanes.height + 46, scale = window.devicePixelRatio || 1;
  canvas.width = width * scale;
  canvas.height = height * scale;
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d"), span = spanOf(), x = (time) => time / span * (width - 2) + 1;
  pen.scale(scale, scale);
  pen.font = "11px system-ui, sans-serif";
  pen.fillStyle = style.getPropertyValue("--dim");
  for (let part = 0; part <= 4; part += 1) {
    pen.textAlign = part === 0 ? "left" : part === 4 ? "right" : "center";
    pen.fillText(`${(span * part / 4).toFixed(span < 10 ? 2 : 0)} s`, x(span * part / 4), 12);
  }
  const colours = Object.fromEntries([...OUTCOMES, "running"].map((name) => [name, style.getPropertyValue(`--${{ expectedFailure: "passed", unexpectedSuccess: "failed" }[name] || name}`)]));
  slices.forEach((slice, place) => {
    const left = x(slice.begin), right = Math.max(x(slice.end), left + 1), top = lanes.top + (slice.slot - 1) * lanes.height;
    pen.fillStyle = colours[slice.outcome] || colours.skipped;
    const known = right - left > 6 ? Object.entries(slice.phases).filter(([name]) => name in PHASES) : [];
    if (known.length) {
      let from = left;
      for (const [name, duration] of known) {
        const to = Math.min(right, from + duration / span * (width - 2));
        pen.globalAlpha = PHASES[name];
        pen.fillRect(from, top + 2, to - from, lanes.height - 4);
        from = to;
      }
    } else {
      pen.fillRect(left, top + 2, right - left > 2 ? right - left - .5 : right - left, lanes.height - 4);
    }
    pen.globalAlpha = 1;
    if (place === lanes.chosen) {
      pen.strokeStyle = style.getPropertyValue("--ink");
      pen.lineWidth = 2;
      pen.strokeRect(left, top + 1, right - left, lanes.height - 2);
    }
  });
  pen.fillStyle = style.getPropertyValue("--ink");
  pen.textAlign = "left";
  for (const slice of slices) if (slice.machine) pen.fillText(slice.machine, 4, lanes.top + slice.slot * lanes.height - 4);
  drawMemory(pen, x, height, style, slices);
}

function drawMemory(pen, x, height, style, slices) {
  const changes = slices.flatMap((slice) => (slice.memory ? [[slice.begin, slice.memory], [slice.end, -slice.memory]] : []));
  if (!changes.length) return;
  changes.sort(([a], [b]) => a - b);
  let sum = 0, most = 1;
  const sums = changes.map(([time, change]) => { sum += change; most = Math.max(most, sum); return [time, sum]; });
  pen.beginPath();
  pen.moveTo(x(0), height - 2);
  let before = 0;
  for (const [time, value] of sums) {
    pen.lineTo(x(time), height - 2 - before / most * 28);
    pen.lineTo(x(time), height - 2 - value / most * 28);
    before = value;
  }
  pen.strokeStyle = style.getPropertyValue("--running");
  pen.lineWidth = 1;
  pen.stroke();
  pen.fillStyle = style.getPropertyValue("--dim");
  pen.textAlign = "left";
  pen.fillText(`memory, peak ${mebibytes(most)} MiB`, 4, height - 33);
}

function hint(place) {
  lanes.chosen = place;
  const slice = slicesOf()[place];
  byId("hint").textContent = !slice ? "" : [
    slice.tests.length > 1 ? `${slice.tests[0]} and ${slice.tests.length - 1} more` : slice.tests[0], slice.outcome, slice.cause, slice.machine,
    `${seconds(slice.end - slice.begin)} s, starting at ${seconds(slice.begin)} s`,
    Object.entries(slice.phases).map(([name, duration]) => `${name} ${seconds(duration)}`).join(", "),
    slice.memory ? `${mebibytes(slice.memory)} MiB` : "",
  ].filter(Boolean).join(" · ");
  drawLanes();
}

function sliceAt(event) {
  const box = byId("timeline").getBoundingClientRect(), time = (event.clientX - box.left - 1) / (box.width - 2) * spanOf();
  const slot = Math.floor((event.clientY - box.top - lanes.top) / lanes.height) + 1, near = spanOf() / box.width * 2;
  let best = -1, distance = near;
  slicesOf().forEach((slice, place) => {
    if (slice.slot !== slot) return;
    const away = time < slice.begin ? slice.begin - time : time > slice.end ? time - slice.end : 0;
    if (away <= distance) [best, distance] = [place, away];
  });
  return best;
}

function listenToLanes() {
  const canvas = byId("timeline");
  canvas.addEventListener("mousemove", (event) => { const place = sliceAt(event); if (place !== lanes.chosen) hint(place); });
  canvas.addEventListener("click", () => openSlice(lanes.chosen));
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step) hint(Math.min(Math.max(lanes.chosen + step, 0), slicesOf().length - 1));
    else if (event.key === "Enter") openSlice(lanes.chosen);
    else return;
    event.preventDefault();
  });
}

function openSlice(place) {
  const slice = slicesOf()[place], test = slice && data.tests.find((one) => slice.tests.includes(one.id));
  if (test) open(test);
}

// ---- the lists

function showList(list, tests, describe) {
  const shown = tests.map((test) => test.number).join();
  if (list.dataset.shown === shown) return;  // somebody may be about to press a button
  list.dataset.shown = shown;
  list.replaceChildren(...tests.map((test) => {
    const button = make("button", { type: "button", textContent: test.id });
    button.addEventListener("click", () => open(test));
    return make("li", {}, button, make("span", { textContent: ` ${describe(test)}` }));
  }));
}

function showLists() {
  showList(byId("slowest"), data.tests.slice().sort((a, b) => b.duration - a.duration).slice(0, 10), (test) => `${seconds(test.duration)} s`);
  const flaky = data.tests.filter((test) => test.flaky);
  byId("flakies").hidden = !flaky.length;
  showList(byId("flakiest"), flaky.slice(0, 50), (test) => `${test.attempts.length} attempts`);
}

let redraw = 0;

function showAll() { clearTimeout(redraw); redraw = 0; showFacts(); drawLanes(); choose(); showLists(); }

// ---- during the run

async function act(what, values) {
  let reply;
  try {
    const answer = await fetch(`/do/${what}`, { method: "POST", headers: { "Content-Type": "application/json", "X-Token": data.live.token }, body: JSON.stringify(values) });
    reply = await answer.json();
  } catch {
    reply = { text: "The run does not respond." };
  }
  byId("connection").textContent = reply.text || "";
  if (reply.stacks) open({ id: values.test, outcome: "running", duration: 0, message: "", traceback: reply.stacks, attempts: [] });
}

function take(update) {
  for (const test of update.tests || []) { test.number = data.tests.length; data.tests.push(test); }
  for (const slice of update.slices || []) data.slices.push(slice);
  Object.assign(data.run, update.run || {});
  if (update.not_run) data.not_run = update.not_run;
  if (update.running) showRunning(update.running);
  if (!redraw) redraw = setTimeout(showAll, 200);
}

// a row keeps its element while its test runs: somebody may be about to press a button
const runningRows = new Map();

function showRunning(running) {
  lanes.running = running.filter((one) => one.slot).map((one) => (
    { slot: one.slot, begin: one.begin, end: one.begin + one.age, machine: one.machine, tests: [one.test], outcome: "running", cause: null, phases: {}, memory: one.memory }));
  const attempts = new Set(running.map((one) => one.attempt));
  for (const [attempt, row] of runningRows) {
    if (attempts.has(attempt)) continue;
    row.remove();
    runningRows.delete(attempt);
  }
  for (const one of running) {
    let row = runningRows.get(one.attempt);
    if (!row || row.dataset.test !== one.test) {
      row?.remove();
      row = runningRow(one);
      runningRows.set(one.attempt, row);
      byId("running").append(row);
    }
    const texts = [null, `${one.age.toFixed(1)} s`, one.phase, one.memory ? `${mebibytes(one.memory)} MiB` : ""];
    texts.forEach((text, place) => { if (text !== null) row.children[place].textContent = text; });
  }
}

function runningRow(one) {
  const button = (text, what) => {
    const made = make("button", { type: "button", className: "act", textContent: text });
    made.setAttribute("aria-label", `${text}: ${one.test}`);
    made.addEventListener("click", () => act(what, { test: one.test, attempt: one.attempt }));
    return made;
  };
  const row = make("tr", {}, make("td", { className: "test", title: one.test }, make("div", { className: "name" }, nameOf(one.test))), make("td", { className: "number" }),
    make("td", { className: "wide" }), make("td", { className: "number wide" }), make("td", {}, button("Stack", "stacks"), " ", button("Stop", "end")));
  row.dataset.test = one.test;
  return row;
}

function follow() {
  byId("live").hidden = false;
  const status = byId("connection"), source = new EventSource(`/events?token=${encodeURIComponent(data.live.token)}&tests=${data.tests.length}&slices=${data.slices.length}`);
  status.textContent = "The run is in progress.";
  source.addEventListener("update", (event) => take(JSON.parse(event.data)));
  source.addEventListener("end", (event) => {
    source.close();
    take(JSON.parse(event.data));
    data.live = null;
    lanes.running = [];
    byId("live").hidden = true;
    showAll();
    document.body.dataset.state = "over";
  });
  source.addEventListener("error", () => {
    // updates that were missed would stay missing; a reloaded page has them all
    status.textContent = "The connection to the run was lost.";
    if (source.readyState === EventSource.CLOSED || document.body.dataset.state !== "over") source.close();
  });
}

data.tests.forEach((test, place) => { test.number = place; });
showHeads();
showAll();
listenToLanes();
byId("scroll").addEventListener("scroll", showRows, { passive: true });
byId("search").addEventListener("input", (event) => { view.text = event.target.value; choose(); });
byId("filter").addEventListener("submit", (event) => event.preventDefault());
window.addEventListener("resize", () => { drawLanes(); showRows(); });
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawLanes);
if (data.live) follow();
document.body.dataset.ready = "yes";
