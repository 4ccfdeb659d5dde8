// Keeps a part of a page as the server would render it now: server-sent events say when, the page itself says what.
// Without events (a proxy that swallows them, a gateway that is away) it asks every few seconds instead.
import { find } from "./page.js";

const POLL = 3000; // ms between looks while there are no events
const HIDDEN = 20_000; // ms after which a page nobody sees lets its connection go: a browser has six a server
const SETTLE = 60; // ms to wait for more events before looking

/**
 * Replace the content of `#id` by the server's whenever `url()` has an event. `kinds` are the events' names,
 * `isOver()` says when nothing can come any more, `fresh()` is called after each replacement.
 */
export function keepFresh({ id, url, kinds, isOver, fresh, every = 0 }) {
  const connection = find("#connection");
  let [source, poll, hiding, looking, again, lastLook] = [null, 0, 0, false, 0, 0];

  const isAway = (away) => {
    connection.textContent = away ? "Reconnecting…" : "";
    connection.hidden = !away;
  };

  async function look() {
    if (looking) return void (again = 1);
    looking = true;
    lastLook = Date.now();
    try {
      const response = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store", signal: AbortSignal.timeout(8000) });
      if (!response.ok) throw new Error(String(response.status));
      const page = new DOMParser().parseFromString(await response.text(), "text/html");
      const next = page.getElementById(id);
      if (!next) return location.reload(); // logged out meanwhile, say
      swap(find(`#${id}`), next);
      document.title = page.title;
      isAway(false);
      fresh?.();
      if (isOver?.()) stop();
    } catch {
      isAway(true);
      startPolling();
    } finally {
      looking = false;
      if (again) (again = 0), soon();
    }
  }

  let pending = 0;
  const soon = () => {
    clearTimeout(pending);
    pending = setTimeout(look, Math.max(SETTLE, lastLook + every - Date.now()));
  };

  const startPolling = () => {
    poll ||= setInterval(() => {
      look();
      if (!source || source.readyState === EventSource.CLOSED) listen();
    }, POLL);
  };
  const stopPolling = () => (clearInterval(poll), (poll = 0));

  function listen() {
    if (!window.EventSource) return startPolling();
    source?.close();
    source = new EventSource(url());
    let wasOpen = false;
    source.onopen = () => {
      if (wasOpen || poll) soon(); // what happened meanwhile
      wasOpen = true;
      stopPolling();
      isAway(false);
    };
    source.onerror = () => {
      // An ended stream looks the same as a lost one: whether the gateway is away, the look will tell.
      soon();
      startPolling();
    };
    for (const kind of kinds) source.addEventListener(kind, soon);
  }

  function stop() {
    source?.close();
    source = null;
    stopPolling();
    clearTimeout(pending);
  }

  document.addEventListener("visibilitychange", () => {
    clearTimeout(hiding);
    if (document.hidden) hiding = setTimeout(stop, HIDDEN);
    else if (!source && !isOver?.()) listen(), look();
  });
  addEventListener("pageshow", (event) => event.persisted && !isOver?.() && (listen(), look()));
  addEventListener("pagehide", stop);
  if (!isOver?.()) listen();
  return { look: soon, stop };
}

/** Put the new content in place without losing the reader's: what differs is replaced, focus is kept. */
function swap(old, next) {
  const focused = document.activeElement?.id;
  for (const name of next.getAttributeNames()) old.setAttribute(name, next.getAttribute(name));
  merge(old, next);
  if (focused && document.activeElement?.id !== focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

function merge(old, next) {
  const [before, after] = [[...old.childNodes], [...next.childNodes]];
  const isAlike = before.length === after.length && before.every((node, i) => node.nodeName === after[i].nodeName);
  if (!isAlike) return old.replaceChildren(...after);
  before.forEach((node, i) => {
    if (node.isEqualNode(after[i]) || (node.nodeType === Node.ELEMENT_NODE && node.hasAttribute("data-keep"))) return;
    if (node.nodeType !== Node.ELEMENT_NODE || node.id !== after[i].id) return node.replaceWith(after[i]);
    for (const name of node.getAttributeNames()) if (!after[i].hasAttribute(name)) node.removeAttribute(name);
    for (const name of after[i].getAttributeNames()) node.setAttribute(name, after[i].getAttribute(name));
    merge(node, after[i]);
  });
}
