"""How long each page and list of a running shop takes, whatever has been sold in it so far."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

PAGE, AUDIT = 0.1, 1.0  # seconds that one may take at its middle
TIMES = 15


@dataclass(frozen=True)
class Timed:
    """Seconds: the middle one and the slowest of several, and what it may take. `size` of the answer in bytes."""

    name: str
    middle: float
    slowest: float
    allowed: float
    size: int

    @property
    def is_quick(self) -> bool:
        return self.middle <= self.allowed


def time_pages(
    url: str, token: str, phase: Callable[[str, int, int], None] = lambda name, done, total: None, times: int = TIMES
) -> list[Timed]:
    """Ask for each page so many `times`, one after the other, over one connection. Raises `ValueError` for a shop that
    is not ready for it."""
    operator = {"Authorization": f"Bearer {token}"}
    html = {"Accept": "text/html"}
    with httpx.Client(base_url=url, timeout=120, trust_env=False, headers={"Origin": url}) as client:
        if client.post("/admin/login", data={"token": token}).is_error:
            raise ValueError("the console does not take this operator token")
        known = _known(client, operator)
        _check_audited(client, operator)
        asked: list[tuple[str, str, dict[str, str], float]] = [
            ("storefront", "/", html, PAGE),
            ("storefront, a search", "/?q=pen", html, PAGE),
            ("GET /products", "/products", {}, PAGE),
            ("order's page", f"/orders/{known['order_id']}/view", html, PAGE),
            ("console: overview, hour", "/admin", html, PAGE),
            ("console: overview, week", "/admin?span=week", html, PAGE),
            ("console: stock", "/admin/console/stock", html, PAGE),
            ("console: orders", "/admin/console/orders", html, PAGE),
            ("console: one order", f"/admin/console/orders/{known['order_id']}", html, PAGE),
            ("GET /admin/orders, 500", "/admin/orders?limit=500", operator, PAGE),
            *(
                (f"orders by status: {status}", f"/admin/orders?status={status}", operator, PAGE)
                for status in ("pending", "awaiting_payment", "fulfilled", "dispatched", "rejected", "refunded")
            ),
            ("orders by e-mail", "/admin/orders?q=CUSTOMER7@example.com", operator, PAGE),
            ("orders by an e-mail that never bought", "/admin/orders?q=nobody@example.com", operator, PAGE),
            ("orders by the beginning of a key", f"/admin/orders?q={known['checkout_key'][:14]}", operator, PAGE),
            ("orders by a key that is none", "/admin/orders?q=no-such-key", operator, PAGE),
            ("audit of what is recent", "/admin/audit", operator, AUDIT),
            ("console: audit", "/admin/console/audit", html, AUDIT),
        ]
        timed = []
        for number, (name, path, headers, allowed) in enumerate(asked):
            phase(name, number, len(asked))
            timed.append(_time(client, times, name, path, headers, allowed))
    return timed


def _known(client: httpx.Client, operator: dict[str, str]) -> dict[str, Any]:
    """Some order of long ago, to look at."""
    orders = client.get("/admin/orders?status=dispatched&limit=500", headers=operator).raise_for_status().json()
    if not orders["orders"]:
        raise ValueError("the shop has sold nothing yet: make a past first, `python -m bench history`")
    return dict(orders["orders"][-1])


def _check_audited(client: httpx.Client, operator: dict[str, str]) -> None:
    """A past that was made and never audited is all due at once, which no shop's ever is."""
    waiting = client.get("/admin/audit", headers=operator).raise_for_status().json()["waiting"]
    if waiting:
        raise ValueError(f"{waiting:,} orders have never been audited: run `checkout audit --all` first")


def _time(client: httpx.Client, times: int, name: str, path: str, headers: dict[str, str], allowed: float) -> Timed:
    seconds, size = [], 0
    for _ in range(times):
        began = time.perf_counter()
        answer = client.get(path, headers=headers).raise_for_status()
        seconds.append(time.perf_counter() - began)
        size = len(answer.content)
    return Timed(name, statistics.median(seconds), max(seconds), allowed, size)
