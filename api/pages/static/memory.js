// What the browser remembers, shared by all tabs: the cart, and the one checkout that is not over yet.
const CART = "foolscap.cart";
const CHECKOUT = "foolscap.checkout";
const fallback = new Map(); // where storage is forbidden, this tab remembers by itself

function read(name) {
  try {
    return JSON.parse(localStorage.getItem(name) ?? "null");
  } catch {
    return fallback.get(name) ?? null;
  }
}

function write(name, value) {
  fallback.set(name, value);
  try {
    if (value === null) localStorage.removeItem(name);
    else localStorage.setItem(name, JSON.stringify(value));
  } catch { /* remembered in this tab only */ }
}

/** `{items: {sku: quantity}, email}` */
export const readCart = () => {
  const cart = read(CART);
  const sound = Object.entries(cart?.items ?? {}).filter(([, quantity]) => Number.isInteger(quantity) && quantity > 0 && quantity < 100);
  return { items: Object.fromEntries(sound), email: typeof cart?.email === "string" ? cart.email : "" };
};
export const writeCart = (cart) => write(CART, cart);

/** `{key, items: [{sku, quantity}], email, order_id?, payment_url?}`, or null */
export const readCheckout = () => {
  const checkout = read(CHECKOUT);
  return typeof checkout?.key === "string" && Array.isArray(checkout.items) ? checkout : null;
};
export const writeCheckout = (checkout) => write(CHECKOUT, checkout);

/** Forget the checkout, but never one that another tab has begun since. */
export const endCheckout = (key) => {
  if (readCheckout()?.key === key) writeCheckout(null);
};

export const onChange = (whenCart, whenCheckout) =>
  addEventListener("storage", (event) => {
    if (event.key === null || event.key === CART) whenCart();
    if (event.key === null || event.key === CHECKOUT) whenCheckout();
  });

/** The body of a checkout, in one order, so that equal carts are equal texts. */
export const bodyOf = (cart) => ({
  items: Object.entries(cart.items)
    .filter(([, quantity]) => quantity > 0)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([sku, quantity]) => ({ sku, quantity })),
  ...(cart.email ? { email: cart.email } : {}),
});

export const isSame = (checkout, body) =>
  JSON.stringify([checkout.items, checkout.email ?? ""]) === JSON.stringify([body.items, body.email ?? ""]);

/** The key of this cart's checkout: the one that is under way, or a new one. One tab at a time. */
export async function claim(body) {
  const take = () => {
    const known = readCheckout();
    if (known) return known;
    const checkout = { key: newKey(), ...body };
    writeCheckout(checkout);
    return checkout;
  };
  return navigator.locks ? navigator.locks.request(CHECKOUT, take) : take();
}

function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID();
  // Pages without TLS, elsewhere than on localhost, have no randomUUID: the same 122 random bits by hand.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
