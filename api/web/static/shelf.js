// The shelf: each product's stepper, and how many are left.
import { find, findAll, make } from "./page.js";

const MOST = 99; // of one product in a cart
const LOW = 20;

/** By SKU: name, amount (minor units), currency, available, and the elements that show them. */
export const products = new Map(
  findAll(".product[data-sku]").map((element) => [
    element.dataset.sku,
    {
      name: element.dataset.name,
      amount: Number(element.dataset.amount),
      currency: element.dataset.currency,
      available: Number(element.dataset.available),
      stepper: find(".stepper", element),
      input: find("input[name=quantity]", element),
      stock: find(".stock", element),
    },
  ]),
);

export const nameOf = (sku) => products.get(sku)?.name ?? sku;

/** As many as may be bought of one product at once: a whole number from 0 to 99. */
export const bounded = (quantity) => Math.min(MOST, Math.max(0, Math.trunc(quantity) || 0));

/** Show what of each product is in the cart, and what is left. */
export function showShelf(items) {
  for (const [sku, { stepper, input, stock, available }] of products) {
    const quantity = items[sku] ?? 0;
    stepper.classList.toggle("empty", quantity === 0);
    if (document.activeElement !== input || quantity === 0) input.value = String(quantity);
    find(".more", stepper).disabled = quantity >= Math.min(MOST, available);
    find(".add", stepper).disabled = available === 0;
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

/** Ask what is left. The shop away: the next look will tell. */
export async function lookAtStock() {
  try {
    const response = await fetch("/products", { headers: { Accept: "application/json" }, cache: "no-store" });
    if (!response.ok) return;
    for (const { sku, available } of (await response.json()).products) {
      const product = products.get(sku);
      if (product) product.available = available;
    }
  } catch { /* away */ }
}

/** Let the steppers change the cart. */
export function openShelf(quantityOf, setQuantity) {
  for (const [sku, { stepper, input }] of products) {
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
