"""How long each page and list of a running shop takes, whatever has been sold in it so far."""

import statistics
import time
from dataclasses import dataclass

import httpx

from bench.progress import Phase, silent

PAGE, AUDIT = 0.1, 1.0  # seconds that one may take at its middle
TIMES = 15
_STATUSES = ("pending", "awaiting_payment", "fulfilled", "dispatched", "rejected", "refunded")
# `order_id` and the `beginning` of its key are those of some order of long ago.
_PAGES = {
    "storefront": "/",
    "storefront, a search": "/?q=pen",
    "GET /products": "/products",
    "order's page": "/orders/{order_id}/view",
    "console: overview, hour": "/admin",
    "console: overview, week": "/admin?span=week",
    "console: stock": "/admin/console/stock",
    "console: orders": "/admin/console/orders",
    "console: one order": "/admin/console/orders/{order_id}",
    "GET /admin/orders, 500": "/admin/orders?limit=500",
    **{f"orders by status: {status}": f"/admin/orders?status={status}" for status in _STATUSES},
    "orders by e-mail": "/admin/orders?q=CUSTOMER7@example.com",
    "orders by an e-mail that never bought": "/admin/orders?q=nobody@example.com",
    "orders by the beginning of a key": "/admin/orders?q={beginning}",
    "orders by a key that is none": "/admin/orders?q=no-such-key",
    "audit of what is recent": "/admin/audit",
    "console: audit": "/admin/console/audit",
}


@dataclass(frozen=True)
class Timed:
    """In seconds, the middle and the slowest of several tries, and how long the middle may be; the answer's size in
    bytes."""

    name: str
    middle: float
    slowest: float
    allowed: float
    size: int

    @property
    def is_quick(self) -> bool:
        return self.middle <= self.allowed


def time_pages(url: str, token: str, phase: Phase = silent, times: int = TIMES) -> list[Timed]:
    """Ask for each page so many `times`, one after the other, over one connection. Raises `ValueError` for a shop that
    is not ready for it."""
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/html", "Origin": url}
    with httpx.Client(base_url=url, timeout=120, trust_env=False, headers=headers) as client:

        def ask(path: str) -> httpx.Response:
            return client.get(path).raise_for_status()

        if client.post("/admin/login", data={"token": token}).is_error:
            raise ValueError("the console does not take this operator token")
        old = ask("/admin/orders?status=dispatched&limit=500").json()["orders"]
        if not old:
            raise ValueError("the shop has sold nothing yet: make a past first, `python -m bench history`")
        # A past that was made and never audited is all due at once, which no shop's ever is.
        if waiting := ask("/admin/audit").json()["waiting"]:
            raise ValueError(f"{waiting:,} orders have never been audited: run `checkout audit --all` first")
        known = {"order_id": old[-1]["order_id"], "beginning": old[-1]["checkout_key"][:14]}
        timed = []
        for number, (name, path) in enumerate(_PAGES.items()):
            phase(name, number, len(_PAGES))
            seconds, size = [], 0
            for _ in range(times):
                began = time.perf_counter()
                answer = ask(path.format(**known))
                seconds.append(time.perf_counter() - began)
                size = len(answer.content)
            allowed = AUDIT if "audit" in name else PAGE
            timed.append(Timed(name, statistics.median(seconds), max(seconds), allowed, size))
    return timed
