// The banner about an order that is not paid yet: with the time left, or that its payment is on its way.
import { find, make, money, span } from "./page.js";

const place = find("#waiting");
let timer = 0;

/** `order` as the gateway tells it, or null to take the banner away. `cancel` is called by its button. */
export function showWaiting(order, cancel) {
  clearInterval(timer);
  place.hidden = order === null;
  if (order === null) return place.replaceChildren();
  const see = make("a", { class: "button", href: `/orders/${order.order_id}/view` }, "See the order");
  const amount = order.amount_total ? ` of ${money(order.amount_total, order.currency)}` : "";
  if (order.status === "payment_processing")
    return place.replaceChildren(
      make("strong", {}, "Your payment is on its way"),
      make("p", {}, `Your bank takes some days to pay your order${amount}. You need do nothing, and do not pay again.`),
      make("div", { class: "actions" }, see),
    );
  const left = make("span", { class: "number" });
  const tick = () => {
    const seconds = (new Date(order.payment.expires_at) - Date.now()) / 1000;
    left.textContent = seconds > 0 ? ` ${span(seconds)} left to pay.` : " The time to pay is over.";
  };
  if (order.payment) {
    tick();
    timer = setInterval(tick, 1000);
  }
  const button = cancel
    ? make("button", { type: "button", class: "quiet", click: () => ((button.disabled = true), cancel()) }, "Cancel it")
    : null;
  place.replaceChildren(
    make("strong", {}, "You have an order that is not paid yet"),
    make("p", {}, `An order${amount} is kept for you.`, left),
    make(
      "div",
      { class: "actions" },
      order.payment_url ? make("a", { class: "button primary", href: order.payment_url }, "Pay now") : null,
      see,
      button,
    ),
  );
}
