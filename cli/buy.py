"""`checkout buy`: put things in a cart and press Buy."""

from typing import Annotated

import typer

from cli import options
from cli.cart import parse_cart
from cli.output import USAGE, CommandFailed, speaking


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

    Exit codes: 0 bought (with --pay: fulfilled), 1 refused, out of stock or not ready in time, 2 usage, 3 nobody
    answers.
    """
    import secrets

    with speaking(as_json) as output:
        body: dict[str, object] = {"items": parse_cart(items or ["pen"])}
        if email:
            body["email"] = email
        from checkout.errors import InvalidKey
        from checkout.ids import parse_checkout_key
        from cli.client import Shop
        from cli.locate import locate
        from cli.pay import outcome_of, show_outcome

        try:
            key = parse_checkout_key(key) if key else secrets.token_urlsafe(20)
        except InvalidKey as error:
            raise CommandFailed(USAGE, "Wrong --key", str(error)) from None
        with Shop(locate(url)) as shop:
            with output.working("Reserving stock, opening a payment session…") as status:
                bought = shop.buy(body, key, timeout, lambda why: status.update(f"Waiting: {why}…") if status else None)
            document = {**bought.body, "replayed": bought.replayed}
            if not as_json:
                from cli import render

                output.show(render.bought(bought.body, bought.replayed))
            if not pay:
                if as_json:
                    output.json(document)
                return
            with output.working("Paying, waiting for the outcome…"):
                shop.submit_payment(str(bought.body["session_id"]))
                order = outcome_of(shop, str(bought.body["order_id"]), timeout)
            if as_json:
                output.json({**document, "order": order})
            raise typer.Exit(show_outcome(output, order, wanted=("fulfilled", "dispatched")))
