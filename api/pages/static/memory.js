// What the browser remembers, shared by all tabs: the cart, and the one checkout that is not over yet.
//
// The cart is in localStorage. The checkout is in IndexedDB, because only its transactions hold between tabs: each
// process of a browser has a copy of localStorage, written through a little later, so two tabs that press Buy at
// once could both find no checkout there, even one after the other under a lock.
const CART = "foolscap.cart";
const BELL = "foolscap.bell"; // rung in localStorage when the checkout has changed: other tabs hear it
const STORE = "checkout";
const CURRENT = "current";
const fallback = new Map(); // where storage is forbidden, this tab remembers by itself
let opened = null;

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
    localStorage.setItem(name, JSON.stringify(value));
  } catch { /* remembered in this tab only */ }
}

/** `{items: {sku: quantity}, email}` */
export const readCart = () => {
  const cart = read(CART);
  const sound = Object.entries(cart?.items ?? {}).filter(([, quantity]) => Number.isInteger(quantity) && quantity > 0 && quantity < 100);
  return { items: Object.fromEntries(sound), email: typeof cart?.email === "string" ? cart.email : "" };
};
export const writeCart = (cart) => write(CART, cart);

const database = () =>
  (opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open("foolscap", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => {
      request.result.onclose = () => (opened = null);
      resolve(request.result);
    };
    request.onerror = () => reject(request.error);
  }));

/** One transaction, one tab at a time: `decide(checkout)` answers what is kept from now on; null forgets it. */
async function change(decide) {
  let [known, kept] = [null, null];
  try {
    const transaction = (await database()).transaction(STORE, "readwrite");
    await new Promise((resolve, reject) => {
      const store = transaction.objectStore(STORE);
      const asked = store.get(CURRENT);
      asked.onsuccess = () => {
        known = isCheckout(asked.result) ? asked.result : null;
        kept = decide(known);
        if (kept === null) store.delete(CURRENT);
        else if (kept !== known) store.put(kept, CURRENT);
      };
      transaction.oncomplete = resolve;
      transaction.onabort = () => reject(transaction.error);
    });
  } catch {
    opened = null;
    known = fallback.get(STORE) ?? null;
    kept = decide(known);
  }
  fallback.set(STORE, kept);
  if (kept !== known) write(BELL, `${Date.now()} ${Math.random()}`);
  return kept;
}

const isCheckout = (checkout) => typeof checkout?.key === "string" && Array.isArray(checkout.items);

/** `{key, items: [{sku, quantity}], email, order_id?, payment_url?}`, or null */
export const readCheckout = () => change((known) => known);

/** This cart's checkout: the one that is under way, or a new one. */
export const claim = (body) => {
  const fresh = { key: newKey(), ...body };
  return change((known) => known ?? fresh);
};

/** Remember more of the checkout, or forget it; but never touch one that another tab has begun since. */
export const addToCheckout = (key, more) => change((known) => (known?.key === key ? { ...known, ...more } : known));
export const endCheckout = (key) => change((known) => (known?.key === key ? null : known));

export const onChange = (whenCart, whenCheckout) =>
  addEventListener("storage", (event) => {
    if (event.key === null || event.key === CART) whenCart();
    if (event.key === null || event.key === BELL) whenCheckout();
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

function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID();
  // Pages without TLS, elsewhere than on localhost, have no randomUUID: the same 122 random bits by hand.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
