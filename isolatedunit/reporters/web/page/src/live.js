// Follows a run that goes on: takes the updates that the server sends, and sends what buttons are for.
import { useEffect, useReducer, useState } from "preact/hooks";

const INTERVAL = 200;  // milliseconds between two drawings: more is only restless

export function useLive(run) {
  const redraw = useReducer((count) => count + 1, 0)[1];
  const [message, tell] = useState("");
  const [watched, watch] = useState(null);  // a test that runs, in the panel

  useEffect(() => {
    if (!run.live) return undefined;
    const token = encodeURIComponent(run.live.token);
    const source = new EventSource(`/events?token=${token}&run=${encodeURIComponent(run.live.run ?? "")}&tests=${run.tests.length}&slices=${run.slices.length}`);
    let waiting = 0;
    const take = (event) => {
      run.take(JSON.parse(event.data));
      waiting ||= setTimeout(() => { waiting = 0; redraw(); }, INTERVAL);
    };
    source.addEventListener("update", take);
    source.addEventListener("over", (event) => { take(event); run.rest(); });
    source.addEventListener("again", () => { source.close(); location.reload(); });
    source.addEventListener("end", (event) => {
      source.close();
      take(event);
      run.end();
      redraw();
    });
    source.addEventListener("error", () => {
      // updates that were missed would stay missing; a reloaded page has them all
      if (run.isOn) tell("The connection to the run was lost. Reload this page to go on.");
      source.close();
    });
    return () => source.close();
  }, []);

  const act = async (what, values) => {
    let reply;
    try {
      const answer = await fetch(`/do/${what}`, {
        method: "POST", headers: { "Content-Type": "application/json", "X-Token": run.live.token }, body: JSON.stringify(values) });
      reply = await answer.json();
    } catch {
      reply = { text: "The run does not respond." };
    }
    tell(reply.text || "");
    return reply;
  };
  return { message, act, watched, watch };
}
