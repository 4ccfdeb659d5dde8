// The order's page: live, with the time left to pay and the bar of its packing.
import { keepFresh } from "./live.js";
import { endCheckout, readCart, readCheckout, writeCart, bodyOf, isSame } from "./memory.js";
import { find, findAll, localise, span } from "./page.js";

const order = find("#order");
const KINDS = ["reserved", "awaiting_payment", "payment_processing", "paid", "fulfilled", "dispatched", "rejected", "cancelled", "refunded"].concat(
  ["pending", "succeeded", "failed", "cancelled"].map((state) => `refund_${state}`),
  ["opened", "updated", "won", "lost", "closed"].map((state) => `dispute_${state}`),
);
const PAYS = ["payment_processing", "fulfilled", "dispatched"]; // the customer has done what there was to do
let skew = 0; // how far the server's clock is ahead of ours, ms

const isOver = () => order.dataset.status === "refunded" || order.dataset.status === "rejected";

function fresh() {
  skew = new Date(order.dataset.now) - Date.now();
  localise(order);
  forget();
  tick();
}

/** The browser keeps a checkout's key until its order is over, and the cart until it is paid. */
async function forget() {
  const checkout = await readCheckout();
  const { status } = order.dataset;
  if (checkout?.order_id !== order.dataset.order || status === "pending" || status === "awaiting_payment") return;
  if (PAYS.includes(status) && isSame(checkout, bodyOf(readCart()))) writeCart({ items: {}, email: readCart().email });
  if (status !== "payment_processing") await endCheckout(checkout.key); // the shop goes on telling of that
}

function tick() {
  const now = Date.now() + skew;
  for (const each of findAll("[data-deadline]", order)) {
    const seconds = (new Date(each.dataset.deadline) - now) / 1000;
    each.textContent = seconds > 0 ? `${span(seconds)} left to pay` : "The time to pay is over. Asking the payment service…";
  }
  for (const bar of findAll("progress[data-from]", order)) {
    const [from, until] = [new Date(bar.dataset.from), new Date(bar.dataset.until)];
    bar.value = Math.min(0.99, Math.max(0, (now - from) / Math.max(1, until - from)));
  }
}

fresh();
setInterval(tick, 250);
const page = keepFresh({ id: "order", url: () => `/orders/${order.dataset.order}/events?after=${order.dataset.seq}`, kinds: KINDS, isOver, fresh });

// Cancel without leaving the page; without script the form does the same.
order.addEventListener("submit", async (event) => {
  event.preventDefault();
  const button = event.submitter ?? find("#cancel");
  button.disabled = true;
  button.textContent = "Cancelling…";
  const answer = await fetch(`/orders/${order.dataset.order}/cancel`, { method: "POST" }).catch(() => null);
  if (!answer?.ok) {
    button.disabled = false;
    button.textContent = answer?.status === 409 ? "It can no longer be cancelled" : "Cancel the order";
  }
  page.look();
});
