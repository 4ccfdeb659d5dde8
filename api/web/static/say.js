// What the storefront says: how a press of Buy is getting on, and what came of it.
import { find, make } from "./page.js";

const [trouble, going] = ["#trouble", "#going"].map((name) => find(name));

const WORDS = {
  opening: "Setting your things aside…",
  slow: "Taking a little longer than usual. Your order has begun; the payment page is on its way…",
  busy: "A little too much at once. Trying again in a moment…",
  away: "The shop cannot be reached. Your cart is kept and nothing is charged. Trying again by itself…",
  leaving: "Reserved. Taking you to the payment page…",
};

/** How a press is getting on, by a name of `WORDS`; null: none is under way. `stop` gives it up. */
export function tell(what, stop) {
  if (what === null) return going.replaceChildren();
  const mayStop = stop && (what === "away" || what === "slow");
  const button = mayStop ? [make("button", { type: "button", class: "quiet", click: stop }, "Stop trying")] : [];
  going.replaceChildren(make("p", {}, WORDS[what]), make("progress", { "aria-label": "Working" }), ...button);
}

/** A note that stays until the next one, with buttons or links in it. */
export function say(title, text = "", tone = "bad", ...actions) {
  const note = make("div", { class: `note ${tone}` }, make("strong", {}, title), text ? make("p", {}, text) : null);
  if (actions.length) note.append(make("div", { class: "actions" }, ...actions));
  trouble.replaceChildren(note);
  note.scrollIntoView({ block: "nearest" });
}

export const hush = () => trouble.replaceChildren();
