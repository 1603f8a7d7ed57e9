// Modules and their classes, each with what became of its tests; a press shows only these.
import { useMemo, useState } from "preact/hooks";
import { isBad } from "./run.js";
import { Mark } from "./mark.jsx";

function grow(tests) {
  const modules = new Map();
  const count = (node, test) => { node.all += 1; node.bad += isBad(test); node.odd += Boolean(test.flaky || test.leaks.length); };
  for (const test of tests) {
    let module = modules.get(test.module);
    if (!module) modules.set(test.module, module = { scope: test.module, name: test.module, all: 0, bad: 0, odd: 0, classes: new Map() });
    count(module, test);
    if (!test.cls) continue;
    let cls = module.classes.get(test.cls);
    if (!cls) module.classes.set(test.cls, cls = { scope: `${test.module}.${test.cls}`, name: test.cls, all: 0, bad: 0, odd: 0 });
    count(cls, test);
  }
  const order = (one, other) => (other.bad > 0) - (one.bad > 0) || (one.name < other.name ? -1 : 1);
  return [...modules.values()].sort(order).map((module) => ({ ...module, classes: [...module.classes.values()].sort(order) }));
}

const signOf = (node) => (node.bad ? "failed" : node.odd ? "flaky" : "passed");
const UNFOLDED = 12;  // modules that show their classes at first: all of a small suite, or the first that failed
const MOST = 300;  // more than anybody looks through: the search is for that

export function Tree({ run, shown, change }) {
  const modules = useMemo(() => grow(run.tests), [run.version]);
  const [folded, setFolded] = useState({});
  const [open, setOpen] = useState(false);  // on a narrow screen
  const toUnfold = useMemo(() => new Set((modules.length > UNFOLDED ? modules.filter((module) => module.bad) : modules).slice(0, UNFOLDED)), [modules]);
  const isFolded = (module) => folded[module.scope] ?? !toUnfold.has(module);
  if (!modules.length) return null;
  const node = (one) => (
    <a class={`node ${shown.scope === one.scope ? "chosen" : ""}`} href={`#in=${encodeURIComponent(one.scope)}`} aria-current={shown.scope === one.scope ? "true" : undefined}
      onClick={(event) => { event.preventDefault(); setOpen(false); change({ scope: shown.scope === one.scope ? "" : one.scope }); }} title={one.scope}>
      <Mark kind={signOf(one)} /> <span class="name"><bdi>{one.name}</bdi></span>
      <span class="of">{one.bad ? <><b class="failed">{one.bad}</b><span class="hidden"> failed of </span><span aria-hidden="true">/</span></> : null}{one.all}</span>
    </a>
  );
  return (
    <nav class={`tree ${open ? "open" : ""}`} aria-label="Modules and classes">
      <button type="button" class="act unfold" aria-expanded={open} onClick={() => setOpen(!open)}>{shown.scope ? `In ${shown.scope}` : `Modules and classes (${modules.length.toLocaleString("en")})`}</button>
      <ul>
        {modules.slice(0, MOST).map((module) => (
          <li key={module.scope}>
            <div class="branch">
              {module.classes.length
                ? <button type="button" class="fold" aria-expanded={!isFolded(module)} aria-label={`Classes of ${module.name}`} onClick={() => setFolded({ ...folded, [module.scope]: !isFolded(module) })}>{isFolded(module) ? "▸" : "▾"}</button>
                : <span class="fold" />}
              {node(module)}
            </div>
            {!isFolded(module) && module.classes.length > 0 && <ul>{module.classes.slice(0, MOST).map((cls) => <li key={cls.scope}>{node(cls)}</li>)}</ul>}
          </li>
        ))}
        {modules.length > MOST && <li class="more">and {(modules.length - MOST).toLocaleString("en")} more modules: search for one</li>}
      </ul>
    </nav>
  );
}
