// The storefront: cart, stock, and Buy. One key a checkout, kept until its order is over; see memory.js.
import { giveUp, look, press } from "./checkout.js";
import { addToCheckout, bodyOf, claim, endCheckout, isSame, onChange, readCart, readCheckout, writeCart } from "./memory.js";
import { find, findAll, make, money } from "./page.js";
import { hush, say, tell } from "./say.js";
import { showWaiting } from "./waiting.js";

const form = find("#buy");
const [lines, empty, sum, total, email] = ["#lines", "#empty", "#sum", "#total", "#email"].map((name) => find(name));
const [pressButton, bar] = ["#press", "#cart-bar"].map((name) => find(name));
const LOW = 20;
const REFRESH = 5000; // ms between two looks at the stock, while the page is seen

const products = new Map(
  findAll(".product[data-sku]").map((element) => [
    element.dataset.sku,
    {
      element,
      name: element.dataset.name,
      amount: Number(element.dataset.amount),
      currency: element.dataset.currency,
      digits: Number(element.dataset.digits),
      available: Number(element.dataset.available),
      stepper: find(".stepper", element),
      input: find("input[name=quantity]", element),
      stock: find(".stock", element),
    },
  ]),
);
let cart = readCart();
let underWay = null; // the AbortController of a press

// ---- the cart

function setQuantity(sku, quantity) {
  const wanted = Math.min(99, Math.max(0, Math.trunc(quantity) || 0));
  if (wanted) cart.items[sku] = wanted;
  else delete cart.items[sku];
  writeCart(cart);
  render();
}

function render() {
  for (const sku of Object.keys(cart.items)) if (!products.has(sku)) delete cart.items[sku];
  const body = bodyOf(cart);
  let amount = 0;
  let count = 0;
  const rows = body.items.map(({ sku, quantity }) => {
    const product = products.get(sku);
    amount += product.amount * quantity;
    count += quantity;
    return make(
      "li",
      {},
      make("span", {}, `${product.name} × ${quantity}`),
      make("span", { class: "number" }, money(product.amount * quantity, product.currency, product.digits)),
      quantity > product.available ? shortage(sku, product) : null,
    );
  });
  lines.replaceChildren(...rows);
  empty.hidden = count > 0;
  sum.hidden = count === 0;
  const first = products.get(body.items[0]?.sku);
  const text = first ? money(amount, first.currency, first.digits) : "";
  total.textContent = text;
  pressButton.textContent = text ? `Buy for ${text}` : "Buy";
  pressButton.disabled = count === 0 || underWay !== null;
  bar.hidden = count === 0;
  bar.replaceChildren(make("span", {}, `Cart · ${count} ${count === 1 ? "item" : "items"}`), make("span", { class: "number" }, text));
  if (document.activeElement !== email) email.value = cart.email;
  for (const [sku, product] of products) {
    const quantity = cart.items[sku] ?? 0;
    product.stepper.classList.toggle("empty", quantity === 0);
    if (document.activeElement !== product.input || quantity === 0) product.input.value = String(quantity);
    find(".more", product.stepper).disabled = quantity >= Math.min(99, product.available);
    find(".add", product.stepper).disabled = product.available === 0;
    product.stock.textContent = product.available ? `${product.available.toLocaleString("en-US")} left` : "Sold out";
    product.stock.className = `stock${product.available === 0 ? " none" : product.available <= LOW ? " low" : ""}`;
  }
}

function shortage(sku, product) {
  const text = product.available ? `Only ${product.available} left` : "Sold out";
  const label = product.available ? `Take ${product.available}` : "Leave it out";
  return make("span", { class: "trouble" }, text, make("button", { type: "button", click: () => setQuantity(sku, product.available) }, label));
}

// ---- the stock

async function refreshStock() {
  if (document.hidden) return;
  try {
    const response = await fetch("/products", { headers: { Accept: "application/json" }, cache: "no-store" });
    if (!response.ok) return;
    for (const { sku, available } of (await response.json()).products) {
      const product = products.get(sku);
      if (product) product.available = available;
    }
    render();
  } catch { /* away: the next look will tell */ }
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
  if (underWay) return;
  hush();
  const body = bodyOf(cart);
  if (!body.items.length) return;
  const checkout = await claim(body);
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
    await refreshStock();
    setUnderWay(null);
    explain(answer);
  }
}

function explain({ status, problem }) {
  const names = (problem.skus ?? []).map((sku) => products.get(sku)?.name ?? sku).join(", ");
  if (problem.code === "out-of-stock")
    say(`Not enough left: ${names}`, "Nothing was charged and nothing is reserved. Change the cart and press Buy again.");
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
function offer(checkout) {
  const text = checkout.items.map(({ sku, quantity }) => `${products.get(sku)?.name ?? sku} × ${quantity}`).join(", ");
  const finish = make("button", { type: "button", class: "primary", click: () => (hush(), buy(checkout)) }, "Pay that one");
  const replace = make("button", { type: "button", click: () => replaceBy(checkout) }, "Cancel it, buy this cart");
  say("You have an order that is not paid yet", `It holds ${text}. Finish it, or cancel it and buy this cart instead.`, "wait", finish, replace);
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
  await endCheckout(checkout.key);
  form.requestSubmit();
}

// ---- coming back: reload, Back, another tab

async function resume({ mayPress = false } = {}) {
  const checkout = await readCheckout();
  if (!checkout) return showWaiting(null);
  if (!checkout.order_id) return mayPress && !underWay ? buy(checkout) : undefined;
  const order = await look(checkout.order_id);
  if (order === null) return showWaiting({ payment_url: checkout.payment_url, order_id: checkout.order_id });
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

function conclude(checkout, order) {
  const isPaid = order.status === "fulfilled" || order.status === "dispatched";
  if (isPaid && isSame(checkout, bodyOf(cart))) {
    cart = { items: {}, email: cart.email };
    writeCart(cart);
    render();
  }
  const see = make("a", { class: "button", href: `/orders/${order.order_id}/view` }, "See the order");
  if (isPaid) say("Your order is paid", "Thank you.", "good", see);
  else if (order.status === "refunded") say("Your money was given back", "The order could not be kept.", "wait", see);
  else say("Your order has ended", "It was not paid, and nothing was charged. Your cart is kept.", "wait", see);
}

// ---- wiring

document.documentElement.classList.add("with-script");
for (const [sku, product] of products) {
  const step = (by) => () => {
    setQuantity(sku, (cart.items[sku] ?? 0) + by);
    if (!cart.items[sku]) find(".add", product.stepper).focus();
    else if (by > 0 && document.activeElement?.classList.contains("add")) product.input.focus();
  };
  find(".less", product.stepper).addEventListener("click", step(-1));
  find(".more", product.stepper).addEventListener("click", step(1));
  find(".add", product.stepper).addEventListener("click", (event) => {
    setQuantity(sku, 1);
    if (event.detail === 0) find(".more", product.stepper).focus(); // by keyboard: stay where the button was
  });
  for (const button of findAll("button", product.stepper)) button.hidden = false;
  product.input.addEventListener("input", () => product.input.value !== "" && setQuantity(sku, Number(product.input.value)));
  product.input.addEventListener("blur", () => setQuantity(sku, Number(product.input.value)));
  // The first visit may bring a cart in its address (the way back from an error without script).
  if (!Object.keys(readCart().items).length && Number(product.input.value) > 0) cart.items[sku] = Number(product.input.value);
}
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
  refreshStock();
  resume();
});
document.addEventListener("visibilitychange", refreshStock);
setInterval(refreshStock, REFRESH);
render();
resume({ mayPress: true });
