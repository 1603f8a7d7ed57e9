// A curve over time, drawn by uPlot in the colours of the page.
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { duration, size } from "./format.js";

const HEIGHT = 150;
const DARK = matchMedia("(prefers-color-scheme: dark)");

// *points* are pairs of seconds and a value; *format* says how values are written, bytes if nothing else is given
export function Curve({ title, points, format = size, formatX = duration }) {
  const place = useRef(null);
  useEffect(() => {
    const draw = () => {
      place.current.replaceChildren();
      const colours = getComputedStyle(document.documentElement), of = (name) => colours.getPropertyValue(`--${name}`);
      const axis = { stroke: of("dim"), grid: { stroke: of("line"), width: 1 }, ticks: { stroke: of("line"), width: 1 }, font: "11px system-ui, sans-serif" };
      const data = [points.map(([time]) => time), points.map(([, value]) => value)];
      const y = (_, low, high) => [0, Math.max(high * 1.1, 1e-9)];
      return new uPlot({
        width: Math.max(place.current.clientWidth, 100), height: HEIGHT, cursor: { show: false }, legend: { show: false }, scales: { x: { time: false }, y: { range: y } },
        axes: [{ ...axis, values: (_, ticks) => ticks.map(formatX) }, { ...axis, size: 74, values: (_, ticks) => ticks.map((tick) => (tick ? format(tick) : "0")) }],
        series: [{}, { stroke: of("running"), fill: of("soft-running"), width: 1.5, points: { show: points.length < 40, size: 5 } }],
      }, data, place.current);
    };
    let plot = draw();
    const redraw = () => { plot.destroy(); plot = draw(); };
    addEventListener("resize", redraw);
    DARK.addEventListener("change", redraw);
    return () => { removeEventListener("resize", redraw); DARK.removeEventListener("change", redraw); plot.destroy(); };
  }, [points]);
  const most = Math.max(...points.map(([, value]) => value));
  return <section><h3>{title}</h3><div class="curve" ref={place} role="img" aria-label={`${title}: ${points.length} values, at most ${format(most)}`} /></section>;
}
