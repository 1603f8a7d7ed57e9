// Each process that tried the test: how it ended, what it took, and where its time went.
import { duration, size } from "./format.js";

const PHASES = ["spawn", "import", "fixtures", "tests", "cleanup"];

export function Attempts({ attempts, slices }) {
  return (
    <section>
      <h3>{attempts.length === 1 ? "Attempt" : "Attempts"}</h3>
      <div class="wide-table" role="region" aria-label="Attempts" tabIndex={0}>
        <table>
          <thead><tr>{["No.", "Outcome", "Cause", "Time", "CPU", "Memory", "Exit", "Process"].map((text) => <th key={text} scope="col">{text}</th>)}</tr></thead>
          <tbody>{attempts.map((one) => (
            <tr key={one.number}>
              <td>{one.number}</td><td class={one.outcome}>{one.outcome}</td><td>{one.cause || ""}</td><td>{duration(one.duration)}</td><td>{duration(one.cpu_time)}</td>
              <td>{size(one.memory)}</td><td>{one.signal || (one.exit_code ?? "")}</td><td>{one.process_id ?? ""}</td>
            </tr>
          ))}</tbody>
        </table>
      </div>
      {attempts.map((one, place) => <Phases key={one.number} attempt={one} slice={slices.length === attempts.length ? slices[place] : null} isOnly={attempts.length === 1} />)}
    </section>
  );
}

function Phases({ attempt, slice, isOnly }) {
  const known = slice ? slice.phases : { spawn: attempt.spawn_time, cleanup: attempt.cleanup_time };
  const parts = PHASES.filter((name) => known[name] > 0).map((name) => [name, known[name]]);
  if (!parts.length) return null;
  return (
    <div class="phases">
      <div class="bar" aria-hidden="true">{parts.map(([name, time]) => <i key={name} class={name} style={{ flexGrow: time }} />)}</div>
      <p class="facts">{isOnly ? "" : `${attempt.number}: `}{parts.map(([name, time], place) => <span key={name}>{place ? " · " : ""}<i class={`dot ${name}`} aria-hidden="true" /> {name} {duration(time)}</span>)}</p>
    </div>
  );
}
