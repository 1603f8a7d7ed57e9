// Links that open a line in somebody's editor; which one is remembered in the browser.
const KEY = "isolatedunit-editor";
export const EDITORS = {
  "VS Code": "vscode://file/{path}:{line}", Cursor: "cursor://file/{path}:{line}", Zed: "zed://file/{path}:{line}",
  "JetBrains": "jetbrains://pycharm/navigate/reference?path={path}:{line}", "Sublime Text": "subl://open?url=file://{path}&line={line}",
};

export function template() {
  try { return localStorage.getItem(KEY) || EDITORS["VS Code"]; } catch { return EDITORS["VS Code"]; }
}

export function setTemplate(text) {
  try { localStorage.setItem(KEY, text); } catch { /* a browser that keeps nothing */ }
}

export function editorLink(file, line, base) {
  const path = /^([/\\]|[A-Za-z]:)/.test(file) || !base ? file : `${base}/${file}`;
  const link = template().replaceAll("{path}", encodeURI(path.replaceAll("\\", "/")).replace(/[#?]/g, encodeURIComponent).replace(/^\//, template().includes("file/{path}") ? "" : "/")).replaceAll("{line}", String(line));
  return /^(javascript|data|vbscript):/i.test(link.trim()) ? "#" : link;
}
