// Draws the timeline on a canvas, because twenty thousand elements would be slow.
import { size } from "./format.js";

const AXIS = 22, GAP = 18, MEMORY = 84;
const PHASES = { spawn: 0.35, import: 0.5, fixtures: 0.65, tests: 1, cleanup: 0.35 };
const COLOUR_OF = { expectedFailure: "passed", unexpectedSuccess: "failed" };
const OUTCOMES = ["passed", "skipped", "expectedFailure", "running", "unexpectedSuccess", "failed", "error"];

const slotsOf = (slices) => Math.max(1, slices.reduce((most, slice) => Math.max(most, slice.slot), 0));
const laneHeight = (slices) => Math.min(34, Math.max(8, Math.floor(420 / slotsOf(slices))));

export const heightOf = (slices) => AXIS + slotsOf(slices) * laneHeight(slices) + GAP + MEMORY + 4;
export const laneAt = (y, slices) => Math.floor((y - AXIS) / laneHeight(slices)) + 1;

export function draw(canvas, { slices, x, width, memory, chosen, marked }) {
  const height = heightOf(slices), scale = window.devicePixelRatio || 1, style = getComputedStyle(document.documentElement);
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    Object.assign(canvas, { width: Math.round(width * scale), height: Math.round(height * scale) });
    Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  }
  const pen = canvas.getContext("2d"), of = (name) => style.getPropertyValue(`--${name}`).trim();
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = "11px system-ui, sans-serif";
  const lane = laneHeight(slices), slots = slotsOf(slices);
  drawAxis(pen, { x, width, height, of });
  for (let slot = 1; slot <= slots; slot += 1) {
    pen.fillStyle = of("fill");
    if (slot % 2) pen.fillRect(0, AXIS + (slot - 1) * lane, width, lane);
  }
  drawBars(pen, { slices, x, width, lane, of });
  for (const slice of slices) {
    if (slice !== chosen && !(marked && slice.tests.includes(marked))) continue;
    const left = x(slice.begin), right = Math.max(x(slice.end), left + 2);
    pen.strokeStyle = of("ink");
    pen.lineWidth = 2;
    pen.strokeRect(left, AXIS + (slice.slot - 1) * lane + 1, right - left, lane - 2);
  }
  pen.fillStyle = of("ink");
  pen.textAlign = "left";
  const machines = new Map(slices.map((slice) => [slice.slot, slice.machine]));
  for (const [slot, machine] of machines) if (machine) pen.fillText(machine, 4, AXIS + slot * lane - 4);
  drawMemory(pen, { memory, x, width, height, of });
}

function drawAxis(pen, { x, width, height, of }) {
  const ticks = x.ticks(Math.max(2, Math.floor(width / 110)));
  const places = Math.min(6, Math.max(0, -Math.floor(Math.log10(ticks.length > 1 ? ticks[1] - ticks[0] : 1))));
  pen.textAlign = "left";
  for (const tick of ticks) {
    const left = Math.round(x(tick)) + 0.5;
    pen.strokeStyle = of("line");
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(left, 4);
    pen.lineTo(left, height);
    pen.stroke();
    pen.fillStyle = of("dim");
    pen.fillText(`${tick.toFixed(places)} s`, left + 3, 13);
  }
}

function drawBars(pen, { slices, x, width, lane, of }) {
  const colours = Object.fromEntries(OUTCOMES.map((name) => [name, of(COLOUR_OF[name] || name)]));
  const byOutcome = new Map(OUTCOMES.map((name) => [name, []]));
  for (const slice of slices) (byOutcome.get(slice.outcome) || byOutcome.get("skipped")).push(slice);
  for (const [outcome, some] of byOutcome) {  // what failed is drawn last: no other bar may hide it
    const drawn = new Map();  // the last pixel of each slot: thinner bars would be drawn thousands of times
    for (const slice of some) {
      const left = x(slice.begin), right = Math.max(x(slice.end), left + 1.5);
      if (right < 0 || left > width || right <= (drawn.get(slice.slot) ?? -1)) continue;
      drawn.set(slice.slot, Math.ceil(right));
      drawBar(pen, { slice, left, right, top: AXIS + (slice.slot - 1) * lane, lane, colour: colours[outcome], of, x });
    }
  }
}

function drawBar(pen, { slice, left, right, top, lane, colour, of, x }) {
  const wide = right - left, inset = lane > 12 ? 3 : 1;
  pen.fillStyle = colour;
  const phases = wide > 8 ? Object.entries(slice.phases).filter(([name]) => name in PHASES) : [];
  let from = left;
  for (const [name, time] of phases) {
    const to = Math.min(right, from + x(time) - x(0));
    pen.globalAlpha = PHASES[name];
    pen.fillRect(from, top + inset, to - from, lane - 2 * inset);
    from = to;
  }
  pen.globalAlpha = phases.length ? 0.35 : 1;
  pen.fillRect(from, top + inset, Math.max(0, right - from - (wide > 3 ? 0.5 : 0)), lane - 2 * inset);
  pen.globalAlpha = 1;
  if (wide < 60 || lane < 16) return;
  pen.save();
  pen.beginPath();
  pen.rect(Math.max(left, 0), top, right - Math.max(left, 0) - 4, lane);
  pen.clip();
  pen.fillStyle = of("ink");
  const [first = "no test"] = slice.tests;
  const text = slice.tests.length > 1 ? `${slice.tests.length} tests` : first.slice(first.lastIndexOf(".") + 1);
  const begin = Math.max(left, 0) + 6, most = pen.measureText(text).width;
  pen.fillStyle = of("paper");
  pen.globalAlpha = 0.82;
  pen.fillRect(begin - 3, top + lane / 2 - 7, most + 6, 14);
  pen.globalAlpha = 1;
  pen.fillStyle = of("ink");
  pen.fillText(text, begin, top + lane / 2 + 4);
  pen.restore();
}

function drawMemory(pen, { memory, x, width, height, of }) {
  if (!memory.length) return;
  const most = memory.reduce((sum, [, value]) => Math.max(sum, value), 1), bottom = height - 4, top = bottom - MEMORY + 14;
  const y = (value) => bottom - value / most * (bottom - top);
  // the most of each pixel: between two short processes the memory falls to nothing, which would hide all else
  const columns = new Float64Array(Math.ceil(width) + 1);
  let before = 0, last = 0;
  for (const [time, value] of memory) {
    const at = Math.min(Math.max(x(time), 0), width), from = Math.floor(last), to = Math.floor(at);
    for (let column = from; column < to; column += 1) columns[column] = Math.max(columns[column], before);
    columns[to] = Math.max(columns[to], before, value);
    [before, last] = [value, at];
  }
  pen.beginPath();
  pen.moveTo(0, bottom);
  columns.forEach((value, column) => pen.lineTo(column, y(value)));
  pen.lineTo(width, bottom);
  pen.fillStyle = of("soft-running");
  pen.fill();
  pen.strokeStyle = of("running");
  pen.lineWidth = 1.25;
  pen.stroke();
  pen.textAlign = "left";
  for (const part of [1, 0.5]) {
    pen.strokeStyle = of("line");
    pen.lineWidth = 1;
    pen.beginPath();
    pen.moveTo(0, Math.round(y(most * part)) + 0.5);
    pen.lineTo(width, Math.round(y(most * part)) + 0.5);
    pen.stroke();
    const text = part === 1 ? `memory of all processes, peak ${size(most)}` : size(most / 2);
    pen.fillStyle = of("paper");
    pen.globalAlpha = 0.8;
    pen.fillRect(2, y(most * part) - 15, pen.measureText(text).width + 6, 14);
    pen.globalAlpha = 1;
    pen.fillStyle = of("dim");
    pen.fillText(text, 5, y(most * part) - 4);
  }
}
