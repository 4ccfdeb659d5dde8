// The shelf: each product's stepper, and how many are left.
import { find, findAll, make, money } from "./page.js";

const MOST = 99; // of one product in a cart
const LOW = 20;
const MOST_SKUS = 200; // that the shop may be asked about at once

/**
 * By SKU: name, amount (minor units), currency, available; of those on this page also the elements that show them, and of
 * those whose price has changed before its customer's eyes `was`, its price as text.
 */
export const products = new Map(
  findAll(".product[data-sku]").map((element) => [
    element.dataset.sku,
    {
      name: element.dataset.name,
      amount: Number(element.dataset.amount),
      currency: element.dataset.currency,
      available: Number(element.dataset.available),
      shown: {
        stepper: find(".stepper", element),
        input: find("input[name=quantity]", element),
        stock: find(".stock", element),
        price: find(".price", element),
      },
    },
  ]),
);
const onThisPage = [...products].map(([sku, { shown }]) => [sku, shown]);

export const nameOf = (sku) => products.get(sku)?.name ?? sku;

/** As many as may be bought of one product at once: a whole number from 0 to 99. */
export const bounded = (quantity) => Math.min(MOST, Math.max(0, Math.trunc(quantity) || 0));

/** Show what of each product is in the cart, and what is left. */
export function showShelf(items) {
  for (const [sku, { stepper, input, stock, price }] of onThisPage) {
    const { available, amount, currency } = products.get(sku);
    const quantity = items[sku] ?? 0;
    stepper.classList.toggle("empty", quantity === 0);
    if (document.activeElement !== input || quantity === 0) input.value = String(quantity);
    find(".more", stepper).disabled = quantity >= Math.min(MOST, available);
    find(".add", stepper).disabled = available === 0;
    price.textContent = money(amount, currency);
    stock.textContent = available ? `${available.toLocaleString("en-US")} left` : "Sold out";
    stock.className = `stock${available === 0 ? " none" : available <= LOW ? " low" : ""}`;
  }
}

/** What to say and offer where the cart asks for more than there is. */
export function shortage(sku, setQuantity) {
  const { available } = products.get(sku);
  const text = available ? `Only ${available} left` : "Sold out";
  const label = available ? `Take ${available}` : "Leave it out";
  return make("span", { class: "trouble" }, text, make("button", { type: "button", click: () => setQuantity(sku, available) }, label));
}

/** Ask about what is on this page and in the cart; answers what is for sale no more. The shop away: the next look will tell. */
export async function look(items) {
  const skus = [...new Set([...onThisPage.map(([sku]) => sku), ...Object.keys(items)])].slice(0, MOST_SKUS);
  if (!skus.length) return [];
  try {
    const query = new URLSearchParams(skus.map((sku) => ["sku", sku]));
    // The browser sends along what it has: mostly it is told that nothing has changed.
    const response = await fetch(`/products?${query}`, { headers: { Accept: "application/json" }, cache: "no-cache" });
    if (!response.ok) return [];
    const found = new Map((await response.json()).products.map((product) => [product.sku, product]));
    for (const [sku, { name, unit_amount, currency, available }] of found) {
      const known = products.get(sku);
      const isNew = known && (known.amount !== unit_amount || known.currency !== currency);
      const was = isNew ? money(known.amount, known.currency) : known?.was;
      products.set(sku, { ...known, name, amount: unit_amount, currency, available, was });
    }
    return skus.filter((sku) => !found.has(sku));
  } catch {
    return [];
  }
}

/** The body of a checkout with the prices that its customer sees: the shop does not sell at others without a word. */
export const priced = (body) => ({
  ...body,
  items: body.items.map((item) => {
    const { amount, currency } = products.get(item.sku) ?? {};
    return amount === undefined ? item : { ...item, expected_unit_amount: amount, expected_currency: currency };
  }),
});

/** The customer has seen the new prices. */
export const agree = () => products.forEach((product) => delete product.was);

/** Let the steppers change the cart. */
export function openShelf(quantityOf, setQuantity) {
  for (const [sku, { stepper, input }] of onThisPage) {
    const step = (by) => () => {
      setQuantity(sku, quantityOf(sku) + by);
      if (!quantityOf(sku)) find(".add", stepper).focus();
      else if (by > 0 && document.activeElement?.classList.contains("add")) input.focus();
    };
    find(".less", stepper).addEventListener("click", step(-1));
    find(".more", stepper).addEventListener("click", step(1));
    find(".add", stepper).addEventListener("click", (event) => {
      setQuantity(sku, 1);
      if (event.detail === 0) find(".more", stepper).focus(); // by keyboard: stay where the button was
    });
    for (const button of findAll("button", stepper)) button.hidden = false;
    input.addEventListener("input", () => input.value !== "" && setQuantity(sku, Number(input.value)));
    input.addEventListener("blur", () => setQuantity(sku, Number(input.value)));
  }
}
