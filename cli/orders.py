"""What is done with orders: `checkout buy` and `pay`, without the pages; `status`, `orders` and `events`, to look at
one, at many, or at what happens to them."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Annotated

import httpx
import typer
from rich.console import RenderableType
from rich.live import Live

from checkout.ids import new_checkout_key, parse_checkout_key
from cli import options, render
from cli.client import STREAM_PATIENCE, Shop, locate
from cli.output import NO, USAGE, CommandFailed, Json, Output

UNDECIDED = frozenset({"pending", "awaiting_payment"})
KEPT = frozenset({"fulfilled", "dispatched"})
_MOVES = UNDECIDED | {"payment_processing", "fulfilled"}
_LAST_KINDS = frozenset({"dispatched", "rejected", "cancelled", "refunded"})
_ITEM = re.compile(r"(?P<sku>[^:\s]+)(?::(?P<quantity>[0-9]{1,9}))?")
_LOOK_EVERY, _FOLLOW_EVERY, _WATCH_EVERY = 0.25, 0.4, 1.0  # seconds between two looks
_AGAIN = 1.0  # seconds until a lost stream is opened again


def buy(
    output: Output,
    items: Annotated[
        list[str] | None, typer.Argument(metavar="[SKU[:QTY]]...", help="What to buy. Nothing named: one pen.")
    ] = None,
    key: Annotated[
        str | None, typer.Option(help="Idempotency key. The same key is the same order, however often.")
    ] = None,
    email: Annotated[str | None, typer.Option(help="Where the receipt would go.")] = None,
    pay: Annotated[bool, typer.Option("--pay", help="Pay at once, and wait for the outcome.")] = False,
    timeout: options.Patience = 60.0,
    url: options.Url = None,
) -> None:
    """Buy something: reserves stock and opens a payment session.

    While the shop answers "not yet" the same key is sent again, so nothing is ever bought twice.

        checkout buy pen:2 notebook
        checkout buy limited-print --key birthday-1 --pay

    Exit codes: 0 bought (with --pay: fulfilled), 1 refused, out of stock or not ready in time.
    """
    like = "SKU or SKU:QUANTITY, such as pen or notebook:2"
    body: Json = {"items": options.quantities(items or ["pen"], _ITEM, like)} | ({"email": email} if email else {})
    key = options.read("--key", key, parse_checkout_key) if key else new_checkout_key()
    with Shop(locate(url)) as shop:
        with output.working("Reserving stock, opening a payment session…") as tell:
            answer = shop.buy(body, key, timeout, tell)
        document = {**answer.json(), "replayed": "Idempotent-Replayed" in answer.headers}
        if not pay:
            output.result(document, render.bought)
            return
        output.show(render.bought(document))
        with output.working("Paying, waiting for the outcome…"):
            shop.pay(str(document["session_id"]))
            order = outcome_of(shop, str(document["order_id"]), timeout)
    output.result({**document, "order": order}, "", lambda _: render.order(order), ok=order.get("status") in KEPT)


def pay(
    output: Output,
    shop: Shop,
    reference: Annotated[str, typer.Argument(metavar="ORDER|SESSION|KEY", help="What to pay for.")],
    cancel: Annotated[bool, typer.Option("--cancel", help="Give up instead: the session is closed.")] = False,
    decline: Annotated[bool, typer.Option("--decline", help="Try a card that is declined.")] = False,
    method: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="One of the payment service's test methods, not the card that pays."),
    ] = None,
    timeout: options.Patience = 30.0,
) -> None:
    """Pay for an order at the payment service, and wait for what becomes of it.

        checkout pay ord_0123456789abcdef0123456789abcdef
        checkout pay cs_test_a1B2c3 --decline
        checkout pay birthday-1 --method pm_usBankAccount_success

    The payment page lists the test methods and what comes of each. A bank debit takes days (in the simulator,
    seconds): the order is then payment_processing, and checkout status --follow waits for its end.

    Exit codes: 0 fulfilled, or the debit is on its way (with --cancel: cancelled), 1 declined, refused or otherwise
    ended.
    """
    if sum((cancel, decline, method is not None)) > 1:
        raise CommandFailed(USAGE, "Choose one", "--cancel, --decline and --method exclude each other")
    order = shop.find_order(reference)
    order_id, session_id = str(order["order_id"]), str((order.get("payment") or {}).get("session_id") or "")
    if not session_id:
        raise CommandFailed(NO, "Nothing to pay", f"Order {order_id} has no payment session")
    if decline:
        shop.pay(session_id, "decline")
        output.note("The card was declined. The session stays open: pay again with another card.")
        output.result({"declined": True, "order": shop.order(order_id) if output.as_json else order}, ok=False)
    shop.pay(session_id, "cancel" if cancel else "submit", method)
    with output.working("Waiting for the outcome…"):
        order = outcome_of(shop, order_id, timeout)
    wanted = {"cancelled"} if cancel else KEPT | {"payment_processing"}
    output.result(order, "", render.order, ok=order.get("status") in wanted)


def outcome_of(shop: Shop, order_id: str, patience: float) -> Json:
    """The order once it is decided. Raises `CommandFailed` after `patience` seconds; the order goes on by itself."""
    deadline = time.monotonic() + patience
    while (order := shop.order(order_id)).get("status") in UNDECIDED:
        if time.monotonic() > deadline:
            again = f"The order goes on by itself. Look again: checkout status {order_id} --follow"
            raise CommandFailed(NO, "Not decided yet", again, {"order": order})
        time.sleep(_LOOK_EVERY)
    return order


def status(
    output: Output,
    shop: Shop,
    reference: Annotated[str, typer.Argument(metavar="ORDER|SESSION|KEY", help="Which order.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Stay until nothing more can happen.")] = False,
) -> None:
    """Show an order: status, payment, refunds and disputes, dispatch progress and timeline.

        checkout status ord_0123456789abcdef0123456789abcdef --follow
        checkout status birthday-1 --json

    Exit codes: 0 found, 1 no such order. With --follow and --json: one document a change.
    """
    order = shop.find_order(reference)

    def looks() -> Iterator[Json]:
        seen = order
        yield seen
        while follow and (seen["status"] in _MOVES or (seen.get("payment") or {}).get("refund_pending")):
            time.sleep(_FOLLOW_EVERY)
            seen = shop.order(str(seen["order_id"]))
            yield seen

    _show_changes(output, looks(), render.order, lambda seen: seen.get("timeline"), live=follow)


def orders(
    output: Output,
    shop: Shop,
    status: Annotated[
        str | None, typer.Option(help="Only these: awaiting_payment, payment_processing, fulfilled, refunded, …")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many, newest first.")] = 20,
    query: Annotated[str | None, typer.Option("--query", "-q", help="Part of an order id or of a key.")] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Stay, and show every change.")] = False,
) -> None:
    """List orders, newest first.

        checkout orders --status awaiting_payment
        checkout orders --watch

    Exit codes: 0 listed, 1 refused (the operator token). With --watch and --json: one document a change.
    """

    def looks() -> Iterator[Json]:
        while True:
            page = shop.orders(status=status, limit=limit, q=query)
            if page.get("next") and not watch:
                output.note("There are more: raise --limit, or narrow with --status and --query.")
            yield page
            if not watch:
                return
            time.sleep(_WATCH_EVERY)

    _show_changes(output, looks(), render.orders, lambda page: page.get("orders"), live=watch)


def _show_changes(
    output: Output,
    looks: Iterator[Json],
    shown: Callable[[Json], RenderableType],
    told: Callable[[Json], object],
    *,
    live: bool,
) -> None:
    """In place on a terminal; else each that differs from the one before, for people in what is `told` of it."""
    if live and not output.as_json and output.out.is_terminal:
        with Live(console=output.out, auto_refresh=False) as display:
            for document in looks:
                display.update(shown(document), refresh=True)
        return
    before: object = None
    for document in looks:
        now = document if output.as_json else told(document)
        if now != before:
            output.result(document, shown)
        before = now


def events(
    output: Output,
    shop: Shop,
    reference: Annotated[
        str | None, typer.Argument(metavar="[ORDER|SESSION|KEY]", help="Only this order, from its beginning.")
    ] = None,
) -> None:
    """Show what happens to orders, as it happens; all of them, or one until it ends.

        checkout events
        checkout events birthday-1 --json

    Exit codes: 0 the order has ended, 1 refused or no such order. With --json: one document an event. Ctrl-C ends it.
    """
    if reference is None:
        path = "/admin/events"
        output.note("Waiting for orders. Ctrl-C ends it.")
    else:
        path = f"/orders/{shop.find_order(reference)['order_id']}/events"
    last_id, last_kind, was_open, is_lost = "", "", False, False
    while True:
        try:
            with shop.stream(path, after=last_id, timeout=STREAM_PATIENCE) as stream:
                was_open = True
                for event_id, event in stream:
                    last_id, last_kind, is_lost = event_id or last_id, str(event.get("kind")), False
                    output.result(event, render.event)
        except httpx.TransportError:
            if not was_open:
                raise shop.nobody() from None
        except CommandFailed as refused:
            if not was_open or refused.problem.get("status") != 503:  # not back yet
                raise
        if reference is not None and last_kind in _LAST_KINDS:  # its stream has ended with it
            return
        if not is_lost:
            output.note("Reconnecting…")
        is_lost = True
        time.sleep(_AGAIN)  # and then on behind the last event seen
