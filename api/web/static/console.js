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

// An audit of everything tells how far it is; without script the form waits for its end.
find("#everything")?.addEventListener("submit", (event) => {
  event.preventDefault();
  const [far, button] = [find("#far"), find("button", event.target)];
  const [text, bar] = [find("p", far), find("progress", far)];
  const say = (words) => ((far.hidden = false), (text.textContent = words));
  button.disabled = true;
  say("Beginning…");
  const source = new EventSource("/admin/console/audit/progress");
  source.addEventListener("progress", ({ data }) => {
    const { what, done, of } = JSON.parse(data);
    if (of) [bar.max, bar.value] = [of, done];
    say(`Reading ${what}: ${done.toLocaleString("en-US")} of about ${of.toLocaleString("en-US")}`);
  });
  source.addEventListener("verdict", () => (source.close(), location.reload()));
  source.onerror = () => {
    source.close();
    button.disabled = false;
    say("It was not finished: another one is under way, or the gateway has gone. Try again in a moment.");
  };
});
