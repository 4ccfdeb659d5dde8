// What the browser remembers, shared by all tabs: the cart, and the one checkout that is not over yet.
//
// The cart is in localStorage. The checkout is in IndexedDB, because only its transactions hold between tabs: each
// process of a browser has a copy of localStorage, written through a little later, so two tabs that press Buy at
// once could both find no checkout there, even one after the other under a lock. Where there is no IndexedDB the
// checkout is in localStorage all the same, and where that is forbidden too, in this tab alone.
const CART = "foolscap.cart";
const CHECKOUT = "foolscap.checkout"; // only while IndexedDB fails; taken over by the next transaction that works
const BELL = "foolscap.bell"; // rung in localStorage when the checkout has changed: other tabs hear it
const STORE = "checkout";
const CURRENT = "current";
const fallback = new Map();
let opened = null;

function read(name) {
  if (fallback.has(name)) return fallback.get(name); // a full store reads well, but what it holds is old
  try {
    return JSON.parse(localStorage.getItem(name) ?? "null");
  } catch {
    return null;
  }
}

function write(name, value) {
  try {
    if (value === null) localStorage.removeItem(name);
    else localStorage.setItem(name, JSON.stringify(value));
    fallback.delete(name);
  } catch {
    fallback.set(name, value); // remembered in this tab only
  }
}

const SKU = /^[a-z0-9][a-z0-9-]{0,62}$/;

/** `{items: {sku: quantity}, email}` */
export const readCart = () => {
  const cart = read(CART);
  const sound = Object.entries(cart?.items ?? {}).filter(([sku, quantity]) => SKU.test(sku) && Number.isInteger(quantity) && quantity > 0 && quantity < 100);
  return { items: Object.fromEntries(sound), email: typeof cart?.email === "string" ? cart.email : "" };
};
export const writeCart = (cart) => write(CART, cart);

const database = () =>
  (opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open("foolscap", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => {
      const forget = () => (opened = null);
      request.result.onclose = forget;
      request.result.onversionchange = () => (request.result.close(), forget());
      resolve(request.result);
    };
    request.onerror = () => reject(request.error);
  }));

/** One transaction: `[what was known, what is kept]`. Rejects when it did not happen. */
async function transact(decide) {
  const transaction = (await database()).transaction(STORE, "readwrite");
  return new Promise((resolve, reject) => {
    const store = transaction.objectStore(STORE);
    const asked = store.get(CURRENT);
    let answer;
    asked.onsuccess = () => {
      const stored = sound(asked.result);
      const known = stored ?? sound(read(CHECKOUT));
      const kept = decide(known);
      answer = [known, kept];
      if (kept === null) store.delete(CURRENT);
      else if (kept !== stored) store.put(kept, CURRENT);
    };
    transaction.oncomplete = () => (write(CHECKOUT, null), resolve(answer));
    transaction.onabort = () => reject(transaction.error);
  });
}

/** `decide(checkout)` answers what is kept from now on, null for nothing; it may be asked again. One tab at a time. */
async function change(decide) {
  let answer = null;
  // A connection may have died while the page slept: the second try has a new one.
  for (let attempt = 0; attempt < 2 && answer === null; attempt += 1) {
    try {
      answer = await transact(decide);
    } catch {
      opened = null;
    }
  }
  if (answer === null) {
    const known = sound(read(CHECKOUT));
    answer = [known, decide(known)];
    write(CHECKOUT, answer[1]);
  }
  const [known, kept] = answer;
  if (kept !== known) write(BELL, `${Date.now()} ${Math.random()}`);
  return kept;
}

const sound = (checkout) => (typeof checkout?.key === "string" && Array.isArray(checkout.items) ? checkout : null);

/** `{key, items: [{sku, quantity, expected_unit_amount, expected_currency}], email, order_id?, payment_url?}`, or null */
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

/** Whether they are for the same things, whatever their prices were when they were seen. */
export const isSame = (checkout, body) => cartOf(checkout) === cartOf(body);
const cartOf = ({ items, email }) => JSON.stringify([items.map(({ sku, quantity }) => [sku, quantity]), email ?? ""]);

function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID();
  // Pages without TLS, elsewhere than on localhost, have no randomUUID: the same 122 random bits by hand.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
