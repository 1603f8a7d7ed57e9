// The sign of an outcome: nobody has to tell colours apart.
const SIGNS = { failed: "✕", error: "!", unexpectedSuccess: "✕", flaky: "↻", skipped: "–", expectedFailure: "✓", passed: "✓", leaky: "◌", running: "▸" };

export const Mark = ({ kind }) => <span class={`mark ${kind}`} aria-hidden="true">{SIGNS[kind] || "·"}</span>;
