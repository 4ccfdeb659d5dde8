// A checkout, pressed until it has an answer. Every repeat sends the same key, so repeating is always safe.
const PATIENCE = 25_000; // ms for one request; the gateway itself answers within its session wait
const PAUSES = [1, 2, 3, 5]; // seconds between attempts while nobody answers
const NOT_YET = [202, 429, 500, 503];
// What a proxy in between says, whatever its status, tells nothing of the order. The shop's own answers say what they are:
// a refusal has a `code`, an order its id.
const isRefusal = (content) => Boolean(content.code);

const sleep = (seconds, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });

async function send(path, body, signal) {
  const limits = [AbortSignal.timeout(PATIENCE), ...(signal ? [signal] : [])];
  try {
    const response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.any ? AbortSignal.any(limits) : limits[0],
    });
    return { response, content: (await response.json().catch(() => null)) ?? {} };
  } catch {
    return null; // nobody answered
  }
}

/**
 * Press Buy with a key, until there is a final answer: `{ok: true, order}`, `{ok: false, status, problem}`, or null
 * when `signal` stopped it. `tell(what)` hears "opening", "slow", "away", "busy" meanwhile.
 */
export async function press({ key, items, email }, tell, signal) {
  tell("opening");
  for (let failures = 0; !signal?.aborted; ) {
    const answer = await send(`/checkout/${encodeURIComponent(key)}`, { items, ...(email ? { email } : {}) }, signal);
    if (signal?.aborted) return null;
    const status = answer?.response.status;
    if (status === 200 && answer.content.order_id) return { ok: true, order: answer.content };
    if (answer && isRefusal(answer.content) && !NOT_YET.includes(status))
      return { ok: false, status, problem: answer.content };
    tell(status === 202 ? "slow" : status === 429 ? "busy" : "away");
    const asked = Number(answer?.response.headers.get("Retry-After"));
    await sleep(Math.min(asked || PAUSES[Math.min(failures++, PAUSES.length - 1)], 10), signal);
  }
  return null;
}

/** The order as it is now; null when it cannot be asked, undefined when there is none. */
export async function look(orderId) {
  try {
    const response = await fetch(`/orders/${encodeURIComponent(orderId)}`, { headers: { Accept: "application/json" }, cache: "no-store" });
    const content = (await response.json()) ?? {};
    if (response.status === 404 && isRefusal(content)) return undefined;
    return response.ok && content.order_id ? content : null;
  } catch {
    return null;
  }
}

/** Give an order up. True once it is cancelled; false when it cannot be any more; null when nobody knows yet. */
export async function giveUp(orderId) {
  for (let attempt = 0; attempt < 4; attempt += 1) {
    const answer = await send(`/orders/${encodeURIComponent(orderId)}/cancel`);
    if (answer?.content.status === "cancelled") return true;
    if (answer && isRefusal(answer.content) && answer.response.status !== 503) return false;
    await sleep(PAUSES[attempt]);
  }
  return null;
}
