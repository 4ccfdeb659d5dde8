"""`checkout restock` and `checkout audit`: the operator's two calls."""

from typing import Annotated

import typer

from cli import options
from cli.output import NO, speaking


def restock(
    sku: Annotated[str, typer.Argument(help="The product.")],
    quantity: Annotated[int, typer.Argument(min=1, help="How many came in; they are added.")],
    url: options.Url = None,
    token: options.Token = None,
    as_json: options.Json = False,
) -> None:
    """Add stock.

    It is not repeated by itself: when the reply is lost, look at the stock before you add it again.

    [bold]Example[/bold]

        checkout restock limited-print 10

    Exit codes: 0 added, 1 refused, 2 usage, 3 nobody answers.
    """
    with speaking(as_json) as output:
        from cli.client import Shop
        from cli.locate import locate

        with Shop(locate(url, token)) as shop:
            answer = shop.restock(sku, quantity)
            if as_json:
                output.json(answer)
                return
            output.show(f"Added {quantity} {sku}; {answer.get('available')} can be bought now.")


def audit(
    grace: Annotated[
        float | None,
        typer.Option(min=0, max=3600, help="Seconds an order must have been left alone to be judged."),
    ] = None,
    url: options.Url = None,
    token: options.Token = None,
    as_json: options.Json = False,
) -> None:
    """Check every promise on the live system: both ledgers, the stock, the orders, the workflows.

    [bold]Example[/bold]

        checkout audit

    Exit codes: 0 every invariant holds, 1 violations were found, 2 usage, 3 nobody answers.
    """
    with speaking(as_json) as output:
        from cli import render
        from cli.client import Shop
        from cli.locate import locate

        with Shop(locate(url, token)) as shop, output.working("Auditing…"):
            report = shop.audit(grace)
        if as_json:
            output.json(report)
        else:
            output.show(render.audit(report))
        if not report.get("ok"):
            raise typer.Exit(NO)
