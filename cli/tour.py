"""The tour's scenes. Each claims something, checks the claim, and says how it was checked."""

import asyncio
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

from rich.markup import escape

from cli.client import Shop
from cli.locate import locate
from cli.output import CommandFailed, Output
from cli.pay import UNDECIDED, outcome_of

_FULFIL_WITHIN, _RESTART_WITHIN, _QUIET_WITHIN = 30.0, 20.0, 20.0  # seconds
_GRACE = 1.0
_LOOK_EVERY = 0.1
Json = dict[str, Any]

_CHARGES = "SELECT count(*) FROM payments.ledger WHERE session_id = $1 AND kind = 'charge'"


class PromiseBroken(Exception):
    """A claim of the tour did not hold. The message says which and what was seen instead."""


class Tour:
    """Runs against a local stack; `run` answers with the summary that `--json` prints."""

    def __init__(self, shop: Shop, output: Output, sku: str) -> None:
        self._shop = shop
        self._output = output
        self._sku = sku
        self._scenes: list[Json] = []
        self._orders: list[Json] = []

    def run(self) -> Json:
        began = time.monotonic()
        scenes: tuple[tuple[str, Callable[[], str]], ...] = (
            ("Buy, pay, and be fulfilled", self._buy_and_pay),
            ("Kill the worker in the middle of a payment", self._kill_the_worker),
            ("Press Buy twice", self._press_twice),
            ("Audit both ledgers", self._audit),
        )
        for number, (title, scene) in enumerate(scenes, 1):
            if not self._play(number, title, scene):
                break
        place = self._shop.location
        links = {"storefront": place.gateway_url, "operator": f"{place.gateway_url}/admin"}
        for name, order in zip(("first order in Temporal", "survivor in Temporal"), self._orders, strict=False):
            links[name] = f"{place.temporal_ui_url}/namespaces/default/workflows/{order['key']}"
        ok = len(self._scenes) == len(scenes) and all(scene["ok"] for scene in self._scenes)
        return {"ok": ok, "seconds": round(time.monotonic() - began, 2), "scenes": self._scenes, "links": links}

    def _play(self, number: int, title: str, scene: Callable[[], str]) -> bool:
        self._output.show("", f"[bold]{number}. {title}[/]")
        began = time.monotonic()
        try:
            proof, ok = scene(), True
        except (PromiseBroken, CommandFailed) as broken:
            proof, ok = str(broken), False
        seconds = round(time.monotonic() - began, 2)
        mark = "[green]✓[/]" if ok else "[bold red]✗[/]"
        self._output.show(f"   {mark} {escape(proof)} [dim]({seconds:.1f} s)[/]")
        self._scenes.append({"title": title, "ok": ok, "proof": proof, "seconds": seconds})
        return ok

    def _say(self, text: str) -> None:
        self._output.show(f"   {escape(text)}")

    @contextmanager
    def _working(self, text: str) -> Iterator[None]:
        with self._output.working(text):
            yield

    def _buy(self) -> Json:
        key = f"demo-{secrets.token_urlsafe(12)}"
        cart = {"items": [{"sku": self._sku, "quantity": 2}]}
        with self._working("Buying…"):
            body = {**self._shop.buy(cart, key, _FULFIL_WITHIN).body, "key": key}
        self._orders.append(body)
        return body

    def _show_timeline(self, order: Json) -> None:
        if not self._output.as_json:
            from rich.padding import Padding

            from cli import render

            self._output.show(Padding(render.timeline(order.get("timeline") or []), (0, 0, 0, 3)))

    def _fulfilled(self, order_id: str) -> Json:
        with self._working("Waiting until it is fulfilled…"):
            order = outcome_of(self._shop, order_id, _FULFIL_WITHIN)
        if order.get("status") not in {"fulfilled", "dispatched"}:
            raise PromiseBroken(f"Paid, but the order is {order.get('status')}")
        return order

    def _charged_once(self, session_id: str) -> None:
        count = asyncio.run(_charges(str(self._shop.location.database_url), session_id))
        if count != 1:
            raise PromiseBroken(f"The payment service's ledger holds {count} charges for this order")

    def _buy_and_pay(self) -> str:
        from cli import render

        body = self._buy()
        self._say(f"Order {body['order_id']}, {render.money(body)}. The customer pays at {body['payment_url']}")
        self._shop.submit_payment(body["session_id"])
        self._show_timeline(self._fulfilled(body["order_id"]))
        self._charged_once(body["session_id"])
        return "Fulfilled, charged once"

    def _kill_the_worker(self) -> str:
        body = self._buy()
        pid = self._shop.location.pids["worker"]
        self._say(f"Order {body['order_id']}. The worker (pid {pid}) freezes, the customer pays, kill -9.")
        os.kill(pid, signal.SIGSTOP)  # so that it cannot have finished before it dies
        try:
            self._shop.submit_payment(body["session_id"])
        finally:
            os.kill(pid, signal.SIGKILL)
        status = self._shop.order(body["order_id"]).get("status")
        if status not in UNDECIDED:
            raise PromiseBroken(f"Nothing was shown: the order was already {status} when the worker died")
        self._say(f"Paid, and nobody is left who could fulfil it: the order is {status}.")
        with self._working("The supervisor starts a new worker…"):
            successor = self._new_worker(pid)
        order = self._fulfilled(body["order_id"])
        self._show_timeline(order)
        self._charged_once(body["session_id"])
        return f"A new worker (pid {successor}) went on where the old one died: fulfilled, charged once"

    def _new_worker(self, old: int) -> int:
        deadline = time.monotonic() + _RESTART_WITHIN
        while time.monotonic() < deadline:
            pid = locate().pids.get("worker", old)
            if pid != old:
                return pid
            time.sleep(_LOOK_EVERY)
        raise PromiseBroken(f"The worker was not started again within {_RESTART_WITHIN:.0f} seconds")

    def _press_twice(self) -> str:
        key = f"demo-{secrets.token_urlsafe(12)}"
        cart = {"items": [{"sku": self._sku, "quantity": 1}]}
        self._say(f"A double click: twice at the same time, then once more, all with the key {key}")

        def click(_: int) -> bytes:
            with Shop(self._shop.location) as shop:
                return shop.buy(cart, key, _FULFIL_WITHIN).raw

        with ThreadPoolExecutor(2) as both:
            answers = list(both.map(click, range(2)))
        third = self._shop.buy(cart, key, _FULFIL_WITHIN)
        if {*answers, third.raw} != {third.raw} or not third.replayed:
            raise PromiseBroken("The same key got different answers")
        self._shop.submit_payment(third.body["session_id"])
        self._fulfilled(third.body["order_id"])
        self._charged_once(third.body["session_id"])
        return f"Three answers, the same to the byte: one order, {third.body['order_id']}, charged once"

    def _audit(self) -> str:
        deadline = time.monotonic() + _QUIET_WITHIN
        with self._working("Waiting for quiet, auditing…"):
            report = self._shop.audit(_GRACE)
            while not report.get("ok") and time.monotonic() < deadline:
                time.sleep(1)
                report = self._shop.audit(_GRACE)
        if not self._output.as_json:
            from cli import render

            self._output.show(render.audit(report))
        if not report.get("ok"):
            raise PromiseBroken("The audit found violations")
        return f"{len(report.get('invariants') or [])} invariants hold over {report.get('orders')} orders"


async def _charges(database_url: str, session_id: str) -> int:
    """Charges in the payment service's own ledger."""
    import asyncpg

    connection = await asyncpg.connect(database_url.replace("+asyncpg", "", 1), timeout=5)
    try:
        return int(await connection.fetchval(_CHARGES, session_id))
    finally:
        await connection.close()
