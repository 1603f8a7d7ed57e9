// The tests that run now, with what can be done about each.
import { duration, size } from "./format.js";
import { Mark } from "./mark.jsx";

export function Running({ run, act, watch }) {
  const running = run.running.filter((one) => one.test);
  if (!running.length) return null;
  const look = async (one) => {
    const reply = await act("stacks", { test: one.test, attempt: one.attempt });
    watch({ ...one, stacks: reply.stacks || reply.text });
  };
  return (
    <section class="running-now" aria-labelledby="now">
      <h2 id="now">Running now</h2>
      <ul id="running" tabIndex={0}>
        {running.map((one) => (
          <li key={one.attempt}>
            <Mark kind="running" />
            <button type="button" class="name" title={one.test} onClick={() => watch(one)}><bdi>{one.test}</bdi></button>
            <span class="facts">{[duration(one.age), one.phase, size(one.memory)].filter(Boolean).join(" · ")}</span>
            <button type="button" class="act" aria-label={`Stack: ${one.test}`} onClick={() => look(one)}>Stack</button>
            <button type="button" class="act" aria-label={`Stop: ${one.test}`} onClick={() => act("end", { test: one.test, attempt: one.attempt })}>Stop</button>
          </li>
        ))}
      </ul>
    </section>
  );
}
