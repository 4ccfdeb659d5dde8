// Small helpers of every page.
export const find = (selector, within = document) => within.querySelector(selector);
export const findAll = (selector, within = document) => [...within.querySelectorAll(selector)];

/** An element from its parts; text only ever as text. `make("a", {href: "/"}, "Shop")` */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const CURRENCIES = JSON.parse(document.documentElement.dataset.currencies);

/** The payment provider's minor units as text. Of the currencies that are not like most, the page tells how they are. */
export function money(amount, currency) {
  const [exponent, shown] = CURRENCIES[currency] ?? [2, 2];
  const options = { style: "currency", currency, minimumFractionDigits: shown, maximumFractionDigits: exponent };
  return new Intl.NumberFormat("en-US", options).format(amount / 10 ** exponent);
}

/** Seconds as 4:05 or 1:04:05. */
export function span(seconds) {
  const left = Math.max(0, Math.ceil(seconds));
  const two = (value) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(left / 3600), Math.floor(left / 60) % 60];
  return `${hours ? `${hours}:${two(minutes)}` : minutes}:${two(left % 60)}`;
}

/** Show instants in the reader's own time; those of today without the day. */
export function localise(within = document) {
  const clock = { hour: "2-digit", minute: "2-digit", second: "2-digit" };
  const [short, long] = [clock, { day: "numeric", month: "short", ...clock }].map((style) => new Intl.DateTimeFormat(undefined, style));
  const today = new Date().toDateString();
  for (const time of findAll("time[datetime]", within)) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) time.textContent = (at.toDateString() === today ? short : long).format(at);
  }
}
