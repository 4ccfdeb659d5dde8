"""The gateway and the payment service over HTTP, with the patience a checkout asks for.

A checkout is repeated under the same key for as long as the answer is "not yet" (202, 429, 503 or a lost reply), and so
is a refund: the key makes that safe. Nothing else is repeated by itself.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from cli.locate import Location
from cli.output import NO, UNREACHABLE, CommandFailed, Json

_NOT_YET = {
    202: "the payment session is still being made",
    429: "too many requests",
    503: "the shop is not available right now",
}
_SHORTEST, _LONGEST = 0.2, 30.0  # seconds between two attempts, whatever Retry-After says
_PATIENCE, _AUDIT_PATIENCE = 20.0, 60.0  # seconds for an answer, or for word of how far an audit is


@dataclass(frozen=True)
class Bought:
    """The gateway's answer to a checkout. `replayed`: this key had been answered before."""

    body: Json
    raw: bytes
    replayed: bool


class Shop:
    """A session with one stack. Use as a context manager."""

    def __init__(self, location: Location) -> None:
        self.location = location
        # A proxy of the environment has no business between a shop and its operator.
        self._http = httpx.Client(timeout=_PATIENCE, trust_env=False, headers={"Accept": "application/json"})

    def __enter__(self) -> "Shop":
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def buy(
        self, body: Json, key: str, patience: float, waiting: Callable[[str], None] = lambda reason: None
    ) -> Bought:
        """`POST /checkout` under `key` until it is answered. `waiting` hears why it is not, each time."""
        response = self._insist("/checkout", body, {"Idempotency-Key": key}, patience, waiting)
        if isinstance(response, str):
            raise CommandFailed(
                NO,
                "The checkout is not ready yet",
                f"It goes on by itself ({response}). Ask again, safely: the same command with --key {key}",
                {"checkout_key": key},
            )
        return Bought(response.json(), response.content, response.headers.get("Idempotent-Replayed") == "true")

    def refund(self, order_id: str, body: Json, key: str | None, patience: float) -> Json:
        """`POST /admin/orders/{id}/refund` under `key`, until it is answered; without a key, all that is left."""
        headers = {"Authorization": f"Bearer {self.location.admin_token}"} if self.location.admin_token else {}
        headers |= {"Idempotency-Key": key} if key else {}
        path = f"/admin/orders/{_segment(order_id)}/refund"
        response = self._insist(path, body, headers, patience, lambda _: None)
        if isinstance(response, str):
            again = f" with --key {key}" if key else ""
            raise CommandFailed(
                NO,
                "The refund is not answered yet",
                f"It may be under way ({response}). Ask again, safely: the same command{again}",
                {"key": key},
            )
        return self._json(response)

    def _insist(
        self, path: str, body: Json, headers: dict[str, str], patience: float, waiting: Callable[[str], None]
    ) -> httpx.Response | str:
        """Post what is safe to repeat, for `patience` seconds: the answer, or why there is none yet."""
        deadline = time.monotonic() + patience
        heard = False
        while True:
            try:
                response = self._http.post(f"{self.location.gateway_url}{path}", json=body, headers=headers)
            except httpx.TransportError as error:
                if not heard and isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
                    raise nobody("gateway", self.location.gateway_url) from None
                reason, delay = "the reply was lost", 1.0
            else:
                if response.status_code == 200:
                    return response
                if response.status_code not in _NOT_YET:
                    raise refusal(response)
                reason, delay = _NOT_YET[response.status_code], _retry_after(response)
            heard = True
            if time.monotonic() + delay > deadline:
                return reason
            waiting(reason)
            time.sleep(delay)

    def order(self, order_id: str) -> Json:
        return self._get(f"/orders/{_segment(order_id)}")

    def orders(self, **query: str | int | None) -> Json:
        params = {name: value for name, value in query.items() if value is not None}
        return self._get("/admin/orders", params)

    def audit(self, grace: float | None = None) -> Json:
        """The verdict on what may have changed since the last audit. `grace`: seconds that an order must have been left
        alone to be judged."""
        return self._get("/admin/audit", None if grace is None else {"grace": grace}, timeout=_AUDIT_PATIENCE)

    def audit_everything(self, grace: float | None, tell: Callable[[Json], None]) -> Json:
        """The verdict on everything there is. `tell` hears how far it is: `{what, done, of}`."""
        params = None if grace is None else {"grace": grace}
        headers = {"Authorization": f"Bearer {self.location.admin_token}"} if self.location.admin_token else {}
        url = f"{self.location.gateway_url}/admin/audit/progress"
        try:
            with self._http.stream("GET", url, params=params, headers=headers, timeout=_AUDIT_PATIENCE) as response:
                if not response.is_success:
                    response.read()
                    raise refusal(response)
                for line in response.iter_lines():
                    if line.startswith("data:"):
                        told: Json = json.loads(line.removeprefix("data:"))
                        if "ok" in told:
                            return told
                        tell(told)
        except httpx.ConnectError:
            raise nobody("gateway", self.location.gateway_url) from None
        except httpx.TransportError:
            pass
        raise CommandFailed(UNREACHABLE, "The audit did not come to its end", "The gateway has gone. Run it again.")

    def operate(self, *path: str, body: Json | None = None) -> Json:
        """What an operator wants done: `operate("products", "pen", "withdraw")`."""
        url = "/".join((self.location.gateway_url, "admin", *map(_segment, path)))
        return self._json(self._send("POST", url, json=body))

    def sells(self, sku: str) -> bool:
        return bool(self._get("/products", {"sku": sku}).get("products"))

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

    def submit_payment(self, session_id: str, method: str | None = None) -> None:
        """`method` is a test payment method of the payment service's; None: a card that pays."""
        self._pay("api/submit_payment", session_id, more={"payment_method": method} if method else {})

    def cancel_payment(self, session_id: str) -> None:
        self._pay("api/cancel_payment", session_id)

    def decline_payment(self, session_id: str) -> None:
        """Try a card that is declined, as the payment page's button does; its answer to that is a 402."""
        self._pay(f"payment/{_segment(session_id)}/decline", session_id, wanted=(402,))

    def _pay(self, path: str, session_id: str, wanted: tuple[int, ...] = (200, 204), more: Json | None = None) -> None:
        data = {"session_id": session_id, **(more or {})}
        response = self._send("POST", f"{self.location.payment_url}/{path}", data=data)
        if response.status_code not in wanted:
            raise refusal(response)

    def _get(self, path: str, params: Json | None = None, timeout: float = _PATIENCE) -> Json:
        return self._json(self._send("GET", f"{self.location.gateway_url}{path}", params=params, timeout=timeout))

    def _send(self, method: str, url: str, **arguments: Any) -> httpx.Response:
        headers = {}
        if "/admin/" in url and self.location.admin_token:
            headers["Authorization"] = f"Bearer {self.location.admin_token}"
        try:
            return self._http.request(method, url, headers=headers, **arguments)
        except httpx.TransportError:
            if url.startswith(self.location.gateway_url):
                raise nobody("gateway", self.location.gateway_url) from None
            raise nobody("payment service", self.location.payment_url) from None

    def _json(self, response: httpx.Response) -> Json:
        if not response.is_success:
            raise refusal(response)
        try:
            body = response.json()
        except ValueError:
            raise CommandFailed(NO, "That is not the shop", f"{response.url} does not answer JSON") from None
        return body if isinstance(body, dict) else {"value": body}


def nobody(who: str, address: str) -> CommandFailed:
    return CommandFailed(UNREACHABLE, f"No {who} answers at {address}", "Start everything with `make up` first.")


def refusal(response: httpx.Response) -> CommandFailed:
    """An answer that is neither yes nor "not yet", in the words of its problem document (RFC 9457)."""
    try:
        body = response.json()
    except ValueError:
        body = None
    problem: Json = body if isinstance(body, dict) else {}
    provider = problem.get("error")  # the payment service speaks Stripe's error objects instead
    if isinstance(provider, dict):
        problem = {"code": provider.get("code"), "detail": provider.get("message")}
        problem["title"] = "The payment service says no"
    title = str(problem.get("title") or f"HTTP {response.status_code}")
    detail = str(problem.get("detail") or "")
    if response.status_code in {401, 403} and "/admin/" in str(response.url):
        detail = f"{detail} The operator token comes from stack.json, CHECKOUT_ADMIN_TOKEN or --token.".strip()
    return CommandFailed(NO, title, detail, {"status": response.status_code, **problem})


def _retry_after(response: httpx.Response) -> float:
    """Seconds to wait before asking again: `Retry-After` within reason, one second when it is not a number."""
    try:
        seconds = float(response.headers.get("Retry-After", "1"))
    except ValueError:
        seconds = 1.0
    return min(max(seconds, _SHORTEST), _LONGEST)


def _segment(text: str) -> str:
    """One path segment, whatever was typed: a slash or a dot must not name another resource."""
    quoted = quote(text, safe="")
    return quoted if quoted.strip(".") else "%2E" * len(quoted)
