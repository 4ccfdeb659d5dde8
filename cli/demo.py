"""`checkout demo`: the promises, shown in one terminal in less than a minute. Each scene claims something, checks the
claim, and says how it was checked."""

import asyncio
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Annotated

import httpx
import typer
from anyio.from_thread import start_blocking_portal
from rich.padding import Padding
from rich.text import Text

from checkout.ids import new_checkout_key
from cli import render
from cli.client import Shop, locate
from cli.orders import KEPT, UNDECIDED, outcome_of
from cli.output import NO, UNREACHABLE, CommandFailed, Json, Output
from db.audit import charges_of
from db.engine import brief_engine
from runtime.settings import load_settings
from stack.config import StackConfig
from stack.errors import StackError
from stack.stack import Stack

_FULFIL_WITHIN, _RESTART_WITHIN, _QUIET_WITHIN = 30.0, 20.0, 20.0  # seconds
_GRACE = 1.0
_LOOK_EVERY = 0.1


class Tour:
    """Runs against a local stack. `run` returns the summary that `--json` prints. A scene returns its proof, or raises
    `CommandFailed` when what it claims does not hold."""

    def __init__(self, shop: Shop, output: Output, sku: str) -> None:
        self._shop, self._output, self._sku = shop, output, sku
        self._keys: list[str] = []

    def run(self) -> Json:
        began, played = time.monotonic(), []
        scenes = {
            "Buy, pay, and be fulfilled": self._buy_and_pay,
            "Kill the worker in the middle of a payment": self._kill_the_worker,
            "Press Buy twice": self._press_twice,
            "Audit both ledgers": self._audit,
        }
        for number, (title, scene) in enumerate(scenes.items(), 1):
            self._output.show("", Text(f"{number}. {title}", "bold"))
            scene_began = time.monotonic()
            try:
                proof, ok = scene(), True
            except CommandFailed as broken:
                proof, ok = str(broken), False
            seconds = round(time.monotonic() - scene_began, 2)
            mark = ("✓", "green") if ok else ("✗", "bold red")
            self._output.show(Text.assemble("   ", mark, f" {proof} ", (f"({seconds:.1f} s)", "dim")))
            played.append({"title": title, "ok": ok, "proof": proof, "seconds": seconds})
            if not ok:
                break
        place = self._shop.location
        links = {"storefront": place.gateway_url, "operator": f"{place.gateway_url}/admin"}
        for name, key in zip(("first order in Temporal", "survivor in Temporal"), self._keys, strict=False):
            links[name] = f"{place.temporal_ui_url}/namespaces/default/workflows/{key}"
        return {
            "ok": all(scene["ok"] for scene in played),
            "seconds": round(time.monotonic() - began, 2),
            "scenes": played,
            "links": links,
        }

    def _buy_and_pay(self) -> str:
        body = self._buy()
        self._say(f"Order {body['order_id']}, {render.money(body)}. The customer pays at {body['payment_url']}")
        self._shop.pay(body["session_id"])
        self._fulfilled_and_charged_once(body)
        return "Fulfilled, charged once"

    def _kill_the_worker(self) -> str:
        body = self._buy()
        pid = locate().pids.get("worker")
        if pid is None:
            raise CommandFailed(NO, "There is no worker to kill: look at the terminal of `checkout up`")
        self._say(f"Order {body['order_id']}. The worker (pid {pid}) freezes, the customer pays, kill -9.")
        os.kill(pid, signal.SIGSTOP)  # so that it cannot have finished before it dies
        try:
            self._shop.pay(body["session_id"])
        finally:
            os.kill(pid, signal.SIGKILL)
        status = self._shop.order(body["order_id"]).get("status")
        if status not in UNDECIDED:
            raise CommandFailed(NO, f"Nothing was shown: the order was already {status} when the worker died")
        self._say(f"Paid, and nobody is left who could fulfil it: the order is {status}.")
        with self._output.working("The supervisor starts a new worker…"):
            successor = _successor(pid)
        self._fulfilled_and_charged_once(body)
        return f"A new worker (pid {successor}) went on where the old one died: fulfilled, charged once"

    def _press_twice(self) -> str:
        key, cart = f"demo-{new_checkout_key()}", {"items": [{"sku": self._sku, "quantity": 1}]}
        self._say(f"A double click: twice at the same time, then once more, all with the key {key}")

        def click(_: int) -> httpx.Response:
            return self._shop.buy(cart, key, _FULFIL_WITHIN)

        with ThreadPoolExecutor(2) as both:
            first, second = both.map(click, range(2))
        third = click(2)
        if not first.content == second.content == third.content or "Idempotent-Replayed" not in third.headers:
            raise CommandFailed(NO, "The same key got different answers")
        body = third.json()
        self._shop.pay(body["session_id"])
        self._fulfilled_and_charged_once(body, show=False)
        return f"Three answers, the same to the byte: one order, {body['order_id']}, charged once"

    def _audit(self) -> str:
        deadline = time.monotonic() + _QUIET_WITHIN
        with self._output.working("Waiting for quiet, auditing…"):
            while not (report := self._shop.audit(_GRACE)).get("ok") and time.monotonic() < deadline:
                time.sleep(1)
        self._output.show(render.audit(report))
        if not report.get("ok"):
            raise CommandFailed(NO, "The audit found violations")
        return f"{len(report.get('invariants') or [])} invariants hold over {report.get('orders')} orders"

    def _say(self, text: str) -> None:
        self._output.show(f"   {text}")

    def _buy(self) -> Json:
        self._keys.append(f"demo-{new_checkout_key()}")
        with self._output.working("Buying…"):
            cart = {"items": [{"sku": self._sku, "quantity": 2}]}
            body: Json = self._shop.buy(cart, self._keys[-1], _FULFIL_WITHIN).json()
            return body

    def _fulfilled_and_charged_once(self, body: Json, *, show: bool = True) -> None:
        with self._output.working("Waiting until it is fulfilled…"):
            order = outcome_of(self._shop, body["order_id"], _FULFIL_WITHIN)
        if order.get("status") not in KEPT:
            raise CommandFailed(NO, f"Paid, but the order is {order.get('status')}")
        if show:
            self._output.show(Padding(render.timeline(order.get("timeline") or []), (0, 0, 0, 3)))
        count = asyncio.run(_charges(str(self._shop.location.database_url), body["session_id"]))
        if count != 1:
            raise CommandFailed(NO, f"The payment service's ledger holds {count} charges for this order")


def _successor(old: int) -> int:
    deadline = time.monotonic() + _RESTART_WITHIN
    while time.monotonic() < deadline:
        if (pid := locate().pids.get("worker", old)) != old:
            return pid
        time.sleep(_LOOK_EVERY)
    raise CommandFailed(NO, f"The worker was not started again within {_RESTART_WITHIN:.0f} seconds")


async def _charges(database_url: str, session_id: str) -> int:
    async with brief_engine(database_url, pool_size=1) as engine, engine.connect() as connection:
        return await charges_of(connection, session_id)


def demo(output: Output, sku: Annotated[str, typer.Option(help="What is bought.")] = "pen") -> None:
    """A tour: buy and pay, kill the worker in the middle of a payment, press Buy twice, audit.

    Starts the stack when it does not run, and stops it again afterwards. Needs nothing but this terminal.

        checkout demo

    Exit codes: 0 every promise was kept, 1 one was broken, 3 the stack did not start.
    """
    with ExitStack() as cleanup:
        started = not locate().is_local
        if started:
            config = StackConfig(settings=load_settings())
            output.note(f"Nothing runs on {config.data_dir} yet. Starting everything…")
            try:
                with output.working("Starting everything…"):
                    # In a thread of its own, which lives as long as the stack does: the kernel ends the parts with it.
                    portal = cleanup.enter_context(start_blocking_portal())
                    cleanup.enter_context(portal.wrap_async_context_manager(Stack(config)))
            except StackError as error:
                raise CommandFailed(UNREACHABLE, "The stack did not start", str(error)) from None
            output.note(f"It runs; what its parts say is in {config.data_dir}/logs")
        with Shop(locate()) as shop:
            summary = {**Tour(shop, output, sku).run(), "started_the_stack": started}
        praise = Text("Every promise was kept." if summary["ok"] else "", style="bold green")
        if started:
            cleanup.callback(
                output.note, "Stopping what this tour started. `checkout up` starts it for you, data and all."
            )
        output.result(summary, "", lambda _: praise, lambda tour: render.facts(tour["links"].items()), ok=summary["ok"])
