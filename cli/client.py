"""The gateway and the payment service over HTTP. Checkout and refund are repeated while the answer is "not yet" (202,
429, 503 or a lost reply), which their key makes safe. Nothing else is repeated by itself."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any
from urllib.parse import quote

import httpx

from cli.options import read
from cli.output import NO, UNREACHABLE, CommandFailed, Json
from runtime import checks
from stack import data_dir
from stack.data_dir import Location

Tell = Callable[[str], None]
_NOT_YET = {
    202: "the payment session is still being made",
    429: "too many requests",
    503: "the shop is not available right now",
}
_SHORTEST, _LONGEST = 0.2, 30.0  # seconds between two attempts, whatever Retry-After says
_AUDIT_PATIENCE = httpx.Timeout(60.0)  # for an answer, or for word of how far an audit is
# Seconds without a sign of life (the gateway gives one every 15) after which a stream is lost.
STREAM_PATIENCE = httpx.Timeout(10.0, read=40.0)


def locate(url: str | None = None, token: str | None = None) -> Location:
    """Where the shop is. Raises `SettingsError`; `CommandFailed` when the URL or the token given are wrong."""
    if url:
        read("--url", url, checks.http_url, "It ")
    if token:
        read("--token", token, checks.secret(), "It ")
    return data_dir.locate(url, token)


class Shop(AbstractContextManager["Shop"]):
    """A session with one stack."""

    def __init__(self, location: Location) -> None:
        self.location = location
        # A proxy of the environment has no business between a shop and its operator.
        self._http = httpx.Client(timeout=20.0, trust_env=False, headers={"Accept": "application/json"})

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def buy(self, body: Json, key: str, patience: float, tell: Tell | None = None) -> httpx.Response:
        """`POST /checkout` under `key` until it is answered, with `Idempotent-Replayed` if the key had been before.
        `tell` hears why it is not, each time."""
        late = CommandFailed(NO, "The checkout is not ready yet", "It goes on by itself", {"checkout_key": key})
        return self._insist("/checkout", body, key, patience, late, tell)

    def refund(self, order_id: str, body: Json, key: str | None, patience: float) -> Json:
        """`POST /admin/orders/{id}/refund` under `key`, until it is answered; without a key, all that is left."""
        late = CommandFailed(NO, "The refund is not answered yet", "It may be under way", {"key": key})
        return _document(self._insist(f"/admin/orders/{_segment(order_id)}/refund", body, key, patience, late))

    def _insist(
        self, path: str, body: Json, key: str | None, patience: float, late: CommandFailed, tell: Tell | None = None
    ) -> httpx.Response:
        """Post what is safe to repeat, until it is answered. After `patience` seconds, raises `late`, with why."""
        deadline, heard = time.monotonic() + patience, False
        request = self._to(path, headers={"Idempotency-Key": key})
        while True:
            try:
                response = self._http.post(**request, json=body)
            except httpx.TransportError as error:
                if not heard and isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
                    raise self.nobody() from None
                reason, delay = "the reply was lost", 1.0
            else:
                if response.status_code == 200:
                    return response
                if response.status_code not in _NOT_YET:
                    raise _refusal(response)
                reason, delay = _NOT_YET[response.status_code], _retry_after(response)
            heard = True
            if time.monotonic() + delay > deadline:
                again = f" with --key {key}" if key else ""
                late.detail += f" ({reason}). Ask again, safely: the same command{again}"
                raise late
            if tell is not None:
                tell(f"Waiting: {reason}…")
            time.sleep(delay)

    def order(self, order_id: str) -> Json:
        return self._ask("GET", f"/orders/{_segment(order_id)}")

    def orders(self, **query: str | int | None) -> Json:
        return self._ask("GET", "/admin/orders", query)

    def audit(self, grace: float | None = None) -> Json:
        """The verdict on what may have changed. `grace`: seconds an order must have been left alone to be judged."""
        return self._ask("GET", "/admin/audit", {"grace": grace}, timeout=_AUDIT_PATIENCE)

    def audit_everything(self, grace: float | None, tell: Tell) -> Json:
        """The verdict on everything there is. `tell` hears how far it is."""
        try:
            with self.stream("/admin/audit/progress", {"grace": grace}, timeout=_AUDIT_PATIENCE) as events:
                for _, told in events:
                    if "ok" in told:
                        return told
                    tell("Auditing {what}: {done:,} of about {of:,}…".format(**told))
        except httpx.ConnectError:
            raise self.nobody() from None
        except httpx.TransportError:
            pass
        raise CommandFailed(UNREACHABLE, "The audit did not come to its end", "The gateway has gone. Run it again.")

    @contextmanager
    def stream(
        self, path: str, query: Json | None = None, *, after: str = "", timeout: httpx.Timeout
    ) -> Iterator[Iterator[tuple[str, Json]]]:
        """Server-sent events (WHATWG HTML 9.2), those behind the one of id `after`, as `(id, data)`. Raises
        `CommandFailed` when it is refused, `httpx.TransportError` when it cannot be had or is lost."""
        request = self._to(path, query, {"Accept": "text/event-stream", "Last-Event-ID": after or None})
        with self._http.stream("GET", **request, timeout=timeout) as response:
            if not response.is_success:
                response.read()
                raise _refusal(response)
            yield _events(response.iter_lines())

    def operate(self, *path: str, body: Json | None = None) -> Json:
        """An operator's POST: `operate("products", "pen", "withdraw")` is `POST /admin/products/pen/withdraw`."""
        return self._ask("POST", "/".join(("/admin", *map(_segment, path))), json=body)

    def sells(self, sku: str) -> bool:
        return bool(self._ask("GET", "/products", {"sku": sku}).get("products"))

    def find_order(self, reference: str) -> Json:
        """The order of an order id, a payment session id or a checkout key."""
        if not reference.startswith("ord_"):
            return self._search(reference)
        try:
            return self.order(reference)
        except CommandFailed as error:
            if error.problem.get("status") != 404:
                raise
            try:  # a key may begin so, too; the search needs the operator's token
                return self._search(reference)
            except CommandFailed:
                raise error from None

    def _search(self, reference: str) -> Json:
        after = None
        while True:  # it finds what begins alike, too
            page = self.orders(q=reference, limit=500, after=after)
            for row in page.get("orders", []):
                if row.get("checkout_key") == reference or reference.startswith("cs_"):
                    return self.order(str(row["order_id"]))
            after = page.get("next")
            if after is None:
                raise CommandFailed(NO, "No such order", f"Nothing is known of {reference}")

    def pay(self, session_id: str, wish: str = "submit", method: str | None = None) -> None:
        """At the payment service: `submit` a payment (by `method`, a test method of its own; None: a card that pays),
        `cancel` it, or `decline`: try a card that is declined, as its page's button does, which it answers with 402."""
        path = f"/payment/{_segment(session_id)}/decline" if wish == "decline" else f"/api/{wish}_payment"
        data = _given({"session_id": session_id, "payment_method": method})
        try:
            response = self._http.post(f"{self.location.payment_url}{path}", data=data)
        except httpx.TransportError:
            raise self.nobody("payment service") from None
        if response.status_code not in ((402,) if wish == "decline" else (200, 204)):
            raise _refusal(response)

    def _ask(self, method: str, path: str, query: Json | None = None, **more: Any) -> Json:
        try:
            return _document(self._http.request(method, **self._to(path, query), **more))
        except httpx.TransportError:
            raise self.nobody() from None

    def _to(self, path: str, query: Json | None = None, headers: Json | None = None) -> Json:
        """A request to the gateway, as httpx takes it: without what is None, and with the token below `/admin/`."""
        token = self.location.admin_token if path.startswith("/admin/") else None
        authorization = f"Bearer {token}" if token else None
        return {
            "url": f"{self.location.gateway_url}{path}",
            "params": _given(query or {}),
            "headers": _given({"Authorization": authorization, **(headers or {})}),
        }

    def nobody(self, who: str = "gateway") -> CommandFailed:
        address = self.location.gateway_url if who == "gateway" else self.location.payment_url
        return CommandFailed(UNREACHABLE, f"No {who} answers at {address}", "Start everything with `make up` first.")


def _refusal(response: httpx.Response) -> CommandFailed:
    """The failure for an answer that is neither success nor "not yet", in the words of its problem document (RFC
    9457)."""
    problem = document_of(response) or {}
    provider = problem.get("error")  # the payment service speaks Stripe's error objects instead
    if isinstance(provider, dict):
        problem = {"code": provider.get("code"), "detail": provider.get("message")}
        problem["title"] = "The payment service says no"
    title, detail = str(problem.get("title") or f"HTTP {response.status_code}"), str(problem.get("detail") or "")
    if response.status_code in {401, 403} and "/admin/" in str(response.url):
        detail = f"{detail} The operator token comes from stack.json, CHECKOUT_ADMIN_TOKEN or --token.".strip()
    return CommandFailed(NO, title, detail, {"status": response.status_code, **problem})


def _document(response: httpx.Response) -> Json:
    if not response.is_success:
        raise _refusal(response)
    if (document := document_of(response)) is None:
        raise CommandFailed(NO, "That is not the shop", f"{response.url} does not answer JSON")
    return document


def document_of(response: httpx.Response) -> Json | None:
    """The JSON object in an answer, if there is one."""
    with suppress(ValueError):
        if isinstance(body := response.json(), dict):
            return body
    return None


def _events(lines: Iterable[str]) -> Iterator[tuple[str, Json]]:
    """Parses server-sent events into `(id, data)`. Comments and other fields are skipped."""
    event_id, data = "", ""
    for line in lines:
        name, _, value = line.partition(":")
        if name == "id":
            event_id = value.removeprefix(" ")
        elif name == "data":
            data += value.removeprefix(" ")
        elif not line and data:
            yield event_id, json.loads(data)
            event_id, data = "", ""


def _given(values: Json) -> Json:
    return {name: value for name, value in values.items() if value is not None}


def _retry_after(response: httpx.Response) -> float:
    """Seconds to wait before asking again: `Retry-After` within reason, one second when it is not a number."""
    with suppress(ValueError):
        return min(max(float(response.headers.get("Retry-After", "1")), _SHORTEST), _LONGEST)
    return 1.0


def _segment(text: str) -> str:
    """One path segment, whatever was typed: a slash or a dot must not name another resource."""
    quoted = quote(text, safe="")
    return quoted if quoted.strip(".") else "%2E" * len(quoted)
