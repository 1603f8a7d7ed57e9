// Shows what the data in the document is about: a run, or what past runs recorded.
import { render } from "preact";
import "./colours.css";
import "./layout.css";
import "./parts.css";
import "./test.css";
import { HistoryPage } from "./history.jsx";
import { RunPage } from "./run_page.jsx";

const data = JSON.parse(document.getElementById("data").textContent);
render(data.kind === "history" ? <HistoryPage data={data} /> : <RunPage data={data} />, document.getElementById("page"));
document.body.dataset.ready = "yes";
