// What is shown is in the address, so that it can be sent to somebody: #test=...&outcome=failed,error&q=...
import { useEffect, useState } from "preact/hooks";

const EMPTY = { view: "tests", test: "", query: "", outcomes: [], scope: "", sort: "outcome", down: false };

export function read() {
  const given = new URLSearchParams(location.hash.slice(1));
  return {
    view: given.get("view") || EMPTY.view,
    test: given.get("test") || "",
    query: given.get("q") || "",
    outcomes: (given.get("outcome") || "").split(",").filter(Boolean),
    scope: given.get("in") || "",
    sort: (given.get("sort") || EMPTY.sort).replace(/^-/, ""),
    down: (given.get("sort") || "").startsWith("-"),
  };
}

export function hashOf(shown) {
  const { view, test, query, outcomes, scope, sort, down } = { ...EMPTY, ...shown };
  const parts = { view: view === EMPTY.view ? "" : view, test, outcome: outcomes.join(","), q: query, in: scope,
    sort: sort === EMPTY.sort && !down ? "" : `${down ? "-" : ""}${sort}` };
  const given = Object.entries(parts).filter(([, value]) => value);
  return `#${given.map(([name, value]) => `${name}=${encodeURIComponent(value).replaceAll("%2C", ",")}`).join("&")}`;
}

// what is shown, and a function that changes parts of it; another test or view is a step for the Back button
export function useAddress() {
  const [shown, setShown] = useState(read);
  useEffect(() => {
    const follow = () => setShown(read());
    addEventListener("hashchange", follow);
    addEventListener("popstate", follow);
    return () => { removeEventListener("hashchange", follow); removeEventListener("popstate", follow); };
  }, []);
  const change = (parts) => {
    const next = { ...read(), ...parts };
    const isStep = ("test" in parts && parts.test !== shown.test) || ("view" in parts && parts.view !== shown.view);
    history[isStep ? "pushState" : "replaceState"](null, "", `${location.pathname}${location.search}${hashOf(next)}`);
    setShown(next);
  };
  return [shown, change];
}
