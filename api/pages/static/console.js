// The console: its live part follows the orders; buttons marked data-stay act without leaving the page.
import { keepFresh } from "./live.js";
import { find, localise } from "./page.js";

const live = find("#live");
const connection = find("#connection");
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
      connection.textContent = `${button.textContent.trim().replace(/\s+/g, " ")}: done`;
    } catch (error) {
      connection.textContent = `That did not work: ${error.message}`;
    }
    connection.hidden = false;
    setTimeout(page.look, 300);
  });
}
