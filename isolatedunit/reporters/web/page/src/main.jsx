// Shows the run whose data is in the document.
import { render } from "preact";
import "./colours.css";
import "./layout.css";
import "./parts.css";
import "./test.css";
import { RunPage } from "./run_page.jsx";

const data = JSON.parse(document.getElementById("data").textContent);
render(<RunPage data={data} />, document.getElementById("page"));
document.body.dataset.ready = "yes";
