"""`checkout pay`: what a customer does on the payment page, without the page."""

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import options
from cli.output import NO, OK, USAGE, CommandFailed, Output, speaking

if TYPE_CHECKING:
    from cli.client import Shop

UNDECIDED = frozenset({"pending", "awaiting_payment"})
_LOOK_EVERY = 0.25  # seconds
Json = dict[str, Any]


def pay(
    reference: Annotated[str, typer.Argument(metavar="ORDER|SESSION|KEY", help="What to pay for.")],
    cancel: Annotated[bool, typer.Option("--cancel", help="Give up instead: the session is closed.")] = False,
    decline: Annotated[bool, typer.Option("--decline", help="Try a card that is declined.")] = False,
    timeout: options.Patience = 30.0,
    url: options.Url = None,
    token: options.Token = None,
    as_json: options.Json = False,
) -> None:
    """Pay for an order at the payment service, and wait for what becomes of it.

    [bold]Examples[/bold]

        checkout pay ord_0123456789abcdef0123456789abcdef

        checkout pay cs_test_a1B2c3 --decline

    Exit codes: 0 fulfilled (with --cancel: cancelled), 1 declined, refused or otherwise ended, 2 usage, 3 nobody
    answers.
    """
    with speaking(as_json) as output:
        if cancel and decline:
            raise CommandFailed(USAGE, "Choose one", "--cancel and --decline exclude each other")
        from cli.client import Shop
        from cli.locate import locate

        with Shop(locate(url, token)) as shop:
            order = shop.find_order(reference)
            session_id = str((order.get("payment") or {}).get("session_id") or "")
            if not session_id:
                raise CommandFailed(NO, "Nothing to pay", f"Order {order['order_id']} has no payment session")
            if decline:
                shop.decline_payment(session_id)
                order = shop.order(str(order["order_id"]))
                if as_json:
                    output.json({"declined": True, "order": order})
                output.note("The card was declined. The session stays open: pay again with another card.")
                raise typer.Exit(NO)
            if cancel:
                shop.cancel_payment(session_id)
            else:
                shop.submit_payment(session_id)
            with output.working("Waiting for the outcome…"):
                order = outcome_of(shop, str(order["order_id"]), timeout)
        if as_json:
            output.json(order)
        wanted = ("cancelled",) if cancel else ("fulfilled", "dispatched")
        raise typer.Exit(show_outcome(output, order, wanted))


def outcome_of(shop: "Shop", order_id: str, patience: float) -> Json:
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


def show_outcome(output: Output, order: Json, wanted: tuple[str, ...]) -> int:
    """Print the order for people; the exit code says whether it ended as wanted."""
    if not output.as_json:
        from cli import render

        output.show("", render.order(order))
    return OK if order.get("status") in wanted else NO
