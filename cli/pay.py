"""`checkout pay`: what a customer does on the payment page, without the page."""

import time
from typing import Annotated

import typer

from cli import options, render
from cli.client import Shop
from cli.locate import locate
from cli.output import NO, OK, USAGE, CommandFailed, Json, Output, speaking

UNDECIDED = frozenset({"pending", "awaiting_payment"})
KEPT = frozenset({"fulfilled", "dispatched"})
ON_ITS_WAY = "payment_processing"
_LOOK_EVERY = 0.25  # seconds


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

    [bold]Examples[/bold]

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
        show_outcome(output, order, order, frozenset({"cancelled"}) if cancel else KEPT | {ON_ITS_WAY})


def outcome_of(shop: Shop, order_id: str, patience: float) -> Json:
    """The order once it is decided. Raises `CommandFailed` after `patience` seconds; the order goes on by itself."""
    deadline = time.monotonic() + patience
    while True:
        order = shop.order(order_id)
        if order.get("status") not in UNDECIDED:
            return order
        if time.monotonic() > deadline:
            raise CommandFailed(
                NO,
                "Not decided yet",
                f"The order goes on by itself. Look again: checkout status {order_id} --follow",
                {"order": order},
            )
        time.sleep(_LOOK_EVERY)


def show_outcome(output: Output, order: Json, document: Json, wanted: frozenset[str]) -> None:
    """The end of a command: the order for people, the document with --json, an exit code that says whether it ended
    as wanted."""
    output.result(document, "", lambda _: render.order(order))
    raise typer.Exit(OK if order.get("status") in wanted else NO)
