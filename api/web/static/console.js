// The console: its live part follows the orders; buttons marked data-stay act without leaving the page.
import { keepFresh } from "./live.js";
import { find, localise } from "./page.js";

const live = find("#live");
const said = find("#said"); // not where the connection's state is: that is written over in a moment
const SHOWN = 6000; // ms
let hiding = 0;
localise();

if (live.childElementCount) {
  const page = keepFresh({
    id: "live",
    url: () => "/admin/console/events",
    kinds: ["order"],
    every: 1500,
    fresh: () => localise(live),
  });
  setInterval(() => document.hidden || page.look(), 5000); // ages, processes and verdicts change without an event

  live.addEventListener("submit", async (event) => {
    const form = event.target;
    if (!form.hasAttribute("data-stay")) return;
    event.preventDefault();
    const button = event.submitter ?? find("button", form);
    button.disabled = true;
    try {
      const answer = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      if (!answer.ok) throw new Error((await answer.json()).title);
      said.textContent = `${button.textContent.trim().replace(/\s+/g, " ")}: done`;
    } catch (error) {
      said.textContent = `That did not work: ${error.message}`;
    }
    said.hidden = false;
    clearTimeout(hiding);
    hiding = setTimeout(() => (said.hidden = true), SHOWN);
    setTimeout(page.look, 300);
  });
}
