// The storefront: the cart, and Buy. One key a checkout, kept until its order is over; see memory.js.
import { giveUp, look, press } from "./checkout.js";
import { addToCheckout, bodyOf, claim, endCheckout, isSame, onChange, readCart, readCheckout, writeCart } from "./memory.js";
import { find, findAll, make, money } from "./page.js";
import { hush, say, tell } from "./say.js";
import { agree, bounded, look as lookAtShelf, nameOf, openShelf, priced, products, shortage, showShelf } from "./shelf.js";
import { showWaiting } from "./waiting.js";

const form = find("#buy");
const [lines, empty, sum, total, email] = ["#lines", "#empty", "#sum", "#total", "#email"].map((name) => find(name));
const [pressButton, bar] = ["#press", "#cart-bar"].map((name) => find(name));
const [words, search] = ["#q", "#search"].map((name) => find(name));
const REFRESH = 5000; // ms between two looks at the stock, while the page is seen

let cart = readCart();
let underWay = null; // the AbortController of a press

// ---- the cart

function setQuantity(sku, quantity) {
  const wanted = bounded(quantity);
  if (wanted) cart.items[sku] = wanted;
  else delete cart.items[sku];
  writeCart(cart);
  render();
}

function render() {
  const body = bodyOf(cart);
  const totals = new Map(); // by currency: the shop refuses a cart of several, and says so
  let count = 0;
  const rows = body.items.map(({ sku, quantity }) => {
    const product = products.get(sku); // not known yet: from another page, and not asked about so far
    count += quantity;
    if (product) totals.set(product.currency, (totals.get(product.currency) ?? 0) + product.amount * quantity);
    return make(
      "li",
      {},
      make("span", {}, `${nameOf(sku)} × ${quantity}`),
      make("span", { class: "number" }, product ? money(product.amount * quantity, product.currency) : "…"),
      product?.shown ? null : make("button", { type: "button", class: "quiet", click: () => setQuantity(sku, 0) }, `Remove ${nameOf(sku)}`),
      product?.was ? make("span", { class: "trouble" }, `Now ${money(product.amount, product.currency)} each; it was ${product.was}`) : null,
      product && quantity > product.available ? shortage(sku, setQuantity) : null,
    );
  });
  lines.replaceChildren(...rows);
  empty.hidden = count > 0;
  sum.hidden = count === 0;
  const text = body.items.every(({ sku }) => products.has(sku)) ? [...totals].map(([currency, amount]) => money(amount, currency)).join(" + ") : "";
  total.textContent = text;
  pressButton.textContent = text ? `Buy for ${text}` : "Buy";
  pressButton.disabled = count === 0 || underWay !== null;
  bar.hidden = count === 0;
  bar.replaceChildren(make("span", {}, `Cart · ${count} ${count === 1 ? "item" : "items"}`), make("span", { class: "number" }, text));
  if (document.activeElement !== email) email.value = cart.email;
  showShelf(cart.items);
}

async function refresh() {
  if (document.hidden) return;
  const gone = await lookAtShelf(cart.items);
  const lost = gone.filter((sku) => sku in cart.items && delete cart.items[sku]);
  if (lost.length) writeCart(cart);
  render();
}

const telling = (what) => tell(what, () => underWay?.abort());

function setUnderWay(controller) {
  underWay = controller;
  for (const field of [email, ...findAll("button, input", find(".products"))]) field.disabled = controller !== null;
  if (controller === null) tell(null);
  render();
}

// ---- Buy

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  if (event.submitter === search) return location.assign(words.value.trim() ? `/?${new URLSearchParams({ q: words.value.trim() })}` : "/");
  if (underWay) return;
  hush();
  const body = bodyOf(cart);
  if (!body.items.length) return;
  agree();
  const checkout = await claim(priced(body));
  if (isSame(checkout, body)) await buy(checkout);
  else offer(checkout);
});

async function buy(checkout) {
  if (underWay) return;
  setUnderWay(new AbortController());
  const answer = await press(checkout, telling, underWay.signal);
  if (answer === null) {
    setUnderWay(null);
    say("Not finished yet", "Pressing Buy goes on where it stopped. It can never make a second order.", "wait");
  } else if (answer.ok) {
    const { order_id, payment_url } = answer.order;
    await addToCheckout(checkout.key, { order_id, payment_url });
    const order = await look(order_id); // a repeat of an old key may answer for an order that is over
    if (order && order.status !== "awaiting_payment" && order.status !== "pending") {
      setUnderWay(null);
      await resume();
    } else {
      tell("leaving");
      location.assign(payment_url);
    }
  } else {
    await endCheckout(checkout.key);
    await refresh();
    setUnderWay(null);
    explain(answer);
  }
}

function explain({ status, problem }) {
  const names = (problem.skus ?? []).map(nameOf).join(", ");
  if (problem.code === "out-of-stock")
    say(`Not enough left: ${names}`, "Nothing was charged and nothing is reserved. Change the cart and press Buy again.");
  else if (problem.code === "price-changed")
    say("The price has changed", "Nothing was charged and nothing is reserved. If you agree with what your cart shows now, press Buy again.", "wait");
  else if (problem.code === "withdrawn")
    say(`No longer sold: ${names}`, "Nothing was charged and nothing is reserved. The rest of the cart can be bought without it.");
  else if (problem.code === "payment-unavailable")
    say("The payment could not be opened", "The payment service refused. Nothing was charged; your cart is kept. Try again in a while.");
  else if (problem.code === "checkout-closed")
    say("That order had already ended", "Nothing was charged. Your cart is kept; press Buy to order it anew.", "wait");
  else if (status === 422 && problem.errors?.some((each) => each.field === "email")) {
    say("That does not look like an email address", "Correct it, or leave it empty.");
    email.setAttribute("aria-invalid", "true");
    email.focus();
  } else say(problem.title ?? "That did not work", problem.detail ?? "Your cart is kept.");
}

/** The key in memory stands for another cart: say so, and let the customer choose. */
async function offer(checkout) {
  const order = checkout.order_id ? await look(checkout.order_id) : null;
  if (order?.status === "payment_processing") return anew(checkout); // there is nothing to finish, nor to cancel
  const text = checkout.items.map(({ sku, quantity }) => `${nameOf(sku)} × ${quantity}`).join(", ");
  const finish = make("button", { type: "button", class: "primary", click: () => (hush(), buy(checkout)) }, "Pay that one");
  const replace = make("button", { type: "button", click: () => replaceBy(checkout) }, "Cancel it, buy this cart");
  say("You have an order that is not paid yet", `It holds ${text}. Finish it, or cancel it and buy this cart instead.`, "wait", finish, replace);
}

async function anew(checkout) {
  await endCheckout(checkout.key);
  form.requestSubmit();
}

async function replaceBy(checkout) {
  hush();
  setUnderWay(new AbortController());
  const { signal } = underWay;
  let orderId = checkout.order_id;
  if (!orderId) {
    const answer = await press(checkout, telling, signal);
    orderId = answer?.ok ? answer.order.order_id : null;
    if (answer === null) return setUnderWay(null);
  }
  const gone = orderId ? await giveUp(orderId) : true;
  setUnderWay(null);
  if (gone === null) return say("That order could not be cancelled just now", "Please try again in a moment.");
  if (!gone) return resume();
  await anew(checkout);
}

// ---- coming back: reload, Back, another tab

async function resume({ mayPress = false } = {}) {
  const checkout = await readCheckout();
  if (!checkout) return showWaiting(null);
  if (!checkout.order_id) return mayPress && !underWay ? buy(checkout) : undefined;
  const order = await look(checkout.order_id);
  if (order === null) return showWaiting({ payment_url: checkout.payment_url, order_id: checkout.order_id });
  if (order?.status === "payment_processing") return emptied(checkout), showWaiting(order);
  if (order && (order.status === "awaiting_payment" || order.status === "pending"))
    return showWaiting({ ...order, payment_url: order.payment.url ?? checkout.payment_url }, async () => {
      const gone = await giveUp(checkout.order_id);
      await resume();
      if (gone === null) say("The order could not be cancelled just now", "Please try again in a moment.");
    });
  await endCheckout(checkout.key);
  showWaiting(null);
  if (order) conclude(checkout, order);
}

/** What is paid, or being paid, is in the cart no more. */
function emptied(checkout) {
  if (!isSame(checkout, bodyOf(cart))) return;
  cart = { items: {}, email: cart.email };
  writeCart(cart);
  render();
}

function conclude(checkout, order) {
  const isPaid = order.status === "fulfilled" || order.status === "dispatched";
  if (isPaid) emptied(checkout);
  const see = make("a", { class: "button", href: `/orders/${order.order_id}/view` }, "See the order");
  if (isPaid) say("Your order is paid", "Thank you.", "good", see);
  else if (order.status === "refunded") say("Your money was given back", "The order could not be kept.", "wait", see);
  else say("Your order has ended", "It was not paid, and nothing was charged. Your cart is kept.", "wait", see);
}

// ---- wiring

document.documentElement.classList.add("with-script");
openShelf((sku) => cart.items[sku] ?? 0, setQuantity);
// The first visit may bring a cart in its address (the way back from an error without script).
if (!Object.keys(cart.items).length) {
  for (const [sku, { shown }] of products) if (bounded(shown.input.value)) cart.items[sku] = bounded(shown.input.value);
  for (const input of findAll("input[data-sku]", lines)) if (bounded(input.value)) cart.items[input.dataset.sku] = bounded(input.value);
}
// Enter in a field buys, as it would if Search were not the form's first button.
form.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.target.tagName !== "INPUT" || event.target === words) return;
  event.preventDefault();
  form.requestSubmit();
});
email.addEventListener("input", () => {
  email.removeAttribute("aria-invalid");
  cart.email = email.value.trim();
  writeCart(cart);
});
onChange(
  () => ((cart = readCart()), render()),
  () => resume(),
);
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  setUnderWay(null);
  cart = readCart();
  refresh();
  resume();
});
document.addEventListener("visibilitychange", refresh);
setInterval(refresh, REFRESH);
render();
if (Object.keys(cart.items).some((sku) => !products.has(sku))) refresh();
resume({ mayPress: true });
