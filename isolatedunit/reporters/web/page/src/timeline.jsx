// The timeline: a row for each slot, a bar for each process; the wheel zooms, dragging pans.
import { scaleLinear } from "d3-scale";
import { select } from "d3-selection";
import { zoom, zoomIdentity } from "d3-zoom";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { duration, size } from "./format.js";
import { draw, heightOf, laneAt } from "./timeline_drawing.js";

const CLOSEST = 0.002;  // seconds that the whole width shows at most zoom

const running = (one) => ({ slot: one.slot, begin: one.begin, end: one.begin + one.age, tests: [one.test], outcome: "running", machine: one.machine, cause: null, phases: {}, memory: one.memory });

function describe(slice) {
  return [
    slice.tests.length > 1 ? `${slice.tests[0]} and ${slice.tests.length - 1} more` : slice.tests[0] || "no test", slice.outcome, slice.cause, slice.machine,
    `${duration(slice.end - slice.begin)} from ${duration(slice.begin) || "0 s"} on`,
    Object.entries(slice.phases).map(([name, time]) => `${name} ${duration(time)}`).join(", "), size(slice.memory),
  ].filter(Boolean).join(" · ");
}

export function Timeline({ run, open, selected }) {
  const slices = useMemo(() => [...run.slices, ...run.running.filter((one) => one.slot).map(running)].sort((one, other) => one.begin - other.begin), [run.version]);
  if (!slices.length) return <section class="timeline-view"><p class="empty">No process was started, so there is nothing to draw.</p></section>;
  return <Lanes run={run} slices={slices} open={open} selected={selected} />;
}

function Lanes({ run, slices, open, selected }) {
  const canvas = useRef(null), state = useRef({ transform: zoomIdentity, chosen: -1 }), [hint, setHint] = useState("");
  const span = useMemo(() => slices.reduce((most, slice) => Math.max(most, slice.end), Math.max(run.about.duration || 0, 0.001)), [slices]);
  const memory = useMemo(() => memoryOf(slices), [slices]);

  const paint = () => {
    const { transform, chosen } = state.current, element = canvas.current;
    if (!element) return;  // a change was still on its way when the view was left
    const width = element.parentElement.clientWidth, x = transform.rescaleX(scaleLinear().domain([0, span]).range([0, width]));
    draw(element, { slices, x, width, memory, chosen: slices[chosen], marked: selected?.id });
  };
  const current = useRef(null);
  current.current = { paint, slices, span };

  const choose = (place, follow) => {
    const slice = current.current.slices[place];
    state.current.chosen = place;
    setHint(slice ? describe(slice) : "");
    if (follow && slice) {
      const width = canvas.current.clientWidth, x = state.current.transform.rescaleX(scaleLinear().domain([0, current.current.span]).range([0, width])), middle = x((slice.begin + slice.end) / 2);
      if (middle < 0 || middle > width) select(canvas.current).call(state.current.zoom.translateBy, (width / 2 - middle) / state.current.transform.k, 0);
    }
    current.current.paint();
  };

  useEffect(() => {
    const element = canvas.current, width = () => element.clientWidth || 1;
    state.current.zoom = zoom().on("zoom", (event) => { state.current.transform = event.transform; current.current.paint(); })
      .filter((event) => !event.button && !(event.type === "wheel" && event.shiftKey));
    const fit = () => {
      const extent = [[0, 0], [width(), heightOf(current.current.slices)]];
      state.current.zoom.extent(extent).translateExtent(extent).scaleExtent([1, Math.max(2, current.current.span / CLOSEST)]);
      current.current.paint();
    };
    state.current.fit = fit;
    select(element).call(state.current.zoom);
    const watcher = new ResizeObserver(fit);
    watcher.observe(element.parentElement);
    const scheme = matchMedia("(prefers-color-scheme: dark)"), repaint = () => current.current.paint();
    scheme.addEventListener("change", repaint);
    return () => { watcher.disconnect(); scheme.removeEventListener("change", repaint); };
  }, []);
  useEffect(() => state.current.fit(), [slices, selected]);

  const at = (event) => {
    const box = canvas.current.getBoundingClientRect(), x = event.clientX - box.left, slot = laneAt(event.clientY - box.top, slices);
    const scale = state.current.transform.rescaleX(scaleLinear().domain([0, span]).range([0, box.width]));
    let best = -1, distance = 4;  // pixels around a bar that may be thinner than the tip of the mouse
    slices.forEach((slice, place) => {
      if (slice.slot !== slot) return;
      const away = Math.max(scale(slice.begin) - x, x - scale(slice.end), 0);
      if (away < distance) [best, distance] = [place, away];
    });
    return best;
  };
  const show = (place) => {
    const slice = slices[place], test = slice && run.tests.find((one) => slice.tests.includes(one.id));
    if (test) open(test);
  };
  const by = (factor) => select(canvas.current).call(state.current.zoom.scaleBy, factor);
  const all = () => select(canvas.current).call(state.current.zoom.transform, zoomIdentity);
  const press = (event) => {
    const { chosen } = state.current, step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step) choose(Math.min(Math.max(chosen + step, 0), slices.length - 1), true);
    else if (event.key === "Enter") show(chosen);
    else if (event.key === "+" || event.key === "=") by(2);
    else if (event.key === "-") by(0.5);
    else if (event.key === "0") all();
    else return;
    event.preventDefault();
  };
  return (
    <section class="timeline-view" aria-labelledby="when">
      <div class="bar">
        <h2 id="when">Timeline</h2><span class="facts">a row for each slot: scroll to zoom, drag to move</span>
        <span class="buttons"><button type="button" class="act" aria-label="Zoom in" onClick={() => by(2)}>+</button><button type="button" class="act" aria-label="Zoom out" onClick={() => by(0.5)}>−</button><button type="button" class="act" onClick={all}>Show all</button></span>
      </div>
      <div class="lanes">
        <canvas id="timeline" ref={canvas} tabIndex={0} role="img" data-slices={slices.length} data-running={run.running.length}
          aria-label="A row for each slot, with the processes that it had. The arrow keys go from one to the next, Enter opens its test."
          onMouseMove={(event) => { const place = at(event); if (place !== state.current.chosen) choose(place); }}
          onClick={(event) => show(at(event))} onKeyDown={press} />
      </div>
      <output id="hint" for="timeline" aria-live="polite">{hint || "Point at a bar, or use the arrow keys."}</output>
      <p class="facts legend">{["spawn", "import", "fixtures", "tests", "cleanup"].map((name) => <span key={name}><i class={`dot ${name}`} aria-hidden="true" /> {name}</span>)}</p>
    </section>
  );
}

// the memory of all processes together, each with its peak as long as it lived: [seconds, bytes]
function memoryOf(slices) {
  const changes = slices.flatMap((slice) => (slice.memory ? [[slice.begin, slice.memory], [slice.end, -slice.memory]] : []));
  changes.sort(([one], [other]) => one - other);
  let sum = 0;
  return changes.map(([time, change]) => [time, sum += change]);
}
