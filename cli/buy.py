"""`checkout buy`: put things in a cart and press Buy."""

import re
import secrets
from typing import Annotated

import typer

from checkout.errors import InvalidKey
from checkout.ids import parse_checkout_key
from cli import options, render
from cli.client import Shop
from cli.locate import locate
from cli.output import USAGE, CommandFailed, speaking
from cli.pay import KEPT, outcome_of, show_outcome

_ITEM = re.compile(r"(?P<sku>[^:\s]+)(?::(?P<quantity>[0-9]{1,9}))?")


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

    [bold]Examples[/bold]

        checkout buy pen:2 notebook

        checkout buy limited-print --key birthday-1 --pay

    Exit codes: 0 bought (with --pay: fulfilled), 1 refused, out of stock or not ready in time.
    """
    with speaking(as_json) as output:
        body: dict[str, object] = {"items": parse_cart(items or ["pen"])}
        if email:
            body["email"] = email
        try:
            key = parse_checkout_key(key) if key else secrets.token_urlsafe(20)
        except InvalidKey as error:
            raise CommandFailed(USAGE, "Wrong --key", str(error)) from None
        with Shop(locate(url)) as shop:
            with output.working("Reserving stock, opening a payment session…") as status:
                bought = shop.buy(body, key, timeout, lambda why: status.update(f"Waiting: {why}…") if status else None)
            document = {**bought.body, "replayed": bought.replayed}
            output.show(render.bought(bought.body, bought.replayed))
            if not pay:
                if as_json:
                    output.json(document)
                return
            with output.working("Paying, waiting for the outcome…"):
                shop.submit_payment(str(bought.body["session_id"]))
                order = outcome_of(shop, str(bought.body["order_id"]), timeout)
            show_outcome(output, order, {**document, "order": order}, KEPT)


def parse_cart(items: list[str]) -> list[dict[str, object]]:
    """`["pen:2", "pen", "notebook"]` is three pens and a notebook, in the order first named.

    Only the shape is checked here; which SKUs there are and how many may be bought is the shop's word. Raises
    `typer.BadParameter` (exit code 2) for what is not `SKU` or `SKU:QUANTITY`.
    """
    quantities: dict[str, int] = {}
    for item in items:
        match = _ITEM.fullmatch(item)
        if match is None:
            raise typer.BadParameter(f"{item!r} is not SKU or SKU:QUANTITY, such as pen or notebook:2")
        quantities[match["sku"]] = quantities.get(match["sku"], 0) + int(match["quantity"] or 1)
    return [{"sku": sku, "quantity": quantity} for sku, quantity in quantities.items()]
