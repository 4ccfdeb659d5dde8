"""`checkout buy` and `checkout pay`: what a customer does in the shop and on the payment page, without the pages."""

import re
import time
from typing import Annotated

import typer

from checkout.ids import new_checkout_key, parse_checkout_key
from cli import options, render
from cli.client import Shop
from cli.locate import locate
from cli.output import NO, OK, USAGE, CommandFailed, Json, Output, speaking

UNDECIDED = frozenset({"pending", "awaiting_payment"})
KEPT = frozenset({"fulfilled", "dispatched"})
_ITEM = re.compile(r"(?P<sku>[^:\s]+)(?::(?P<quantity>[0-9]{1,9}))?")
_LOOK_EVERY = 0.25  # seconds


def buy(
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
    as_json: options.Json = False,
) -> None:
    """Buy something: reserves stock and opens a payment session.

    While the shop answers "not yet" the same key is sent again, so nothing is ever bought twice.

        checkout buy pen:2 notebook
        checkout buy limited-print --key birthday-1 --pay

    Exit codes: 0 bought (with --pay: fulfilled), 1 refused, out of stock or not ready in time.
    """
    with speaking(as_json) as output:
        like = "SKU or SKU:QUANTITY, such as pen or notebook:2"
        body: Json = {"items": options.quantities(items or ["pen"], _ITEM, like)} | ({"email": email} if email else {})
        key = options.read("--key", key, parse_checkout_key) if key else new_checkout_key()
        with Shop(locate(url)) as shop:
            with output.working("Reserving stock, opening a payment session…") as status:
                answer = shop.buy(body, key, timeout, lambda why: status.update(f"Waiting: {why}…") if status else None)
            document = {**answer.json(), "replayed": "Idempotent-Replayed" in answer.headers}
            if not pay:
                output.result(document, render.bought)
                return
            output.show(render.bought(document))
            with output.working("Paying, waiting for the outcome…"):
                shop.submit_payment(str(document["session_id"]))
                order = outcome_of(shop, str(document["order_id"]), timeout)
            _show_outcome(output, order, {**document, "order": order}, KEPT)


def pay(
    reference: Annotated[str, typer.Argument(metavar="ORDER|SESSION|KEY", help="What to pay for.")],
    cancel: Annotated[bool, typer.Option("--cancel", help="Give up instead: the session is closed.")] = False,
    decline: Annotated[bool, typer.Option("--decline", help="Try a card that is declined.")] = False,
    method: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="One of the payment service's test methods, not the card that pays."),
    ] = None,
    timeout: options.Patience = 30.0,
    url: options.Url = None,
    token: options.Token = None,
    as_json: options.Json = False,
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
    with speaking(as_json) as output:
        if sum((cancel, decline, method is not None)) > 1:
            raise CommandFailed(USAGE, "Choose one", "--cancel, --decline and --method exclude each other")
        with Shop(locate(url, token)) as shop:
            order = shop.find_order(reference)
            order_id, session_id = str(order["order_id"]), str((order.get("payment") or {}).get("session_id") or "")
            if not session_id:
                raise CommandFailed(NO, "Nothing to pay", f"Order {order_id} has no payment session")
            if decline:
                shop.decline_payment(session_id)
                if as_json:
                    output.json({"declined": True, "order": shop.order(order_id)})
                output.note("The card was declined. The session stays open: pay again with another card.")
                raise typer.Exit(NO)
            if cancel:
                shop.cancel_payment(session_id)
            else:
                shop.submit_payment(session_id, method)
            with output.working("Waiting for the outcome…"):
                order = outcome_of(shop, order_id, timeout)
        _show_outcome(output, order, order, frozenset({"cancelled"}) if cancel else KEPT | {"payment_processing"})


def outcome_of(shop: Shop, order_id: str, patience: float) -> Json:
    """The order once it is decided. Raises `CommandFailed` after `patience` seconds; the order goes on by itself."""
    deadline = time.monotonic() + patience
    while (order := shop.order(order_id)).get("status") in UNDECIDED:
        if time.monotonic() > deadline:
            again = f"The order goes on by itself. Look again: checkout status {order_id} --follow"
            raise CommandFailed(NO, "Not decided yet", again, {"order": order})
        time.sleep(_LOOK_EVERY)
    return order


def _show_outcome(output: Output, order: Json, document: Json, wanted: frozenset[str]) -> None:
    """The end of a command: the order for people, the document with --json, an exit code that says whether it ended
    as wanted."""
    output.result(document, "", lambda _: render.order(order))
    raise typer.Exit(OK if order.get("status") in wanted else NO)
