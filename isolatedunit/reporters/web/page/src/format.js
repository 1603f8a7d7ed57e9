// Numbers and names as people read them.

export const plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 0.0995) return `${(seconds * 1000).toFixed(seconds < 0.00995 ? 1 : 0)} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(seconds < 9.995 ? 2 : 1)} s`;
  const whole = Math.round(seconds), hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  return hours ? `${hours} h ${minutes} min` : `${minutes} min ${whole % 60} s`;
}

// a time that is only guessed has no fractions
export const roughly = (seconds) => (seconds < 59.5 ? `${Math.max(1, Math.round(seconds))} s` : duration(seconds));

export function size(bytes) {
  if (!bytes) return "";
  return bytes < 1073741824 ? `${(bytes / 1048576).toFixed(1)} MiB` : `${(bytes / 1073741824).toFixed(2)} GiB`;
}

export const worded = (kind, count) => (kind === "error" && count !== 1 ? "errors" : WORDS[kind] || kind);

export const WORDS = {
  failed: "failed", error: "error", unexpectedSuccess: "unexpected success", flaky: "flaky", skipped: "skipped",
  expectedFailure: "expected failure", passed: "passed", running: "running",
};
