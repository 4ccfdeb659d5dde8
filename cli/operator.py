"""`checkout restock`, `write-off`, `withdraw`, `offer` and `audit`: the operator's calls."""

from typing import Annotated

import typer

from cli import options, render
from cli.client import Shop
from cli.locate import locate
from cli.output import NO, Json, speaking

Sku = Annotated[str, typer.Argument(help="The product.")]


def restock(
    sku: Sku,
    quantity: Annotated[int, typer.Argument(min=1, help="How many came in; they are added.")],
    url: options.Url = None,
    token: options.Token = None,
    as_json: options.Json = False,
) -> None:
    """Add stock.

    It is not repeated by itself: when the reply is lost, look at the stock before you add it again.

    [bold]Example[/bold]

        checkout restock limited-print 10

    Exit codes: 0 added, 1 refused.
    """
    with speaking(as_json) as output, Shop(locate(url, token)) as shop:
        answer = shop.operate("restock", body={"sku": sku, "quantity": quantity})
        output.result(answer, f"Added {quantity} {sku}; {answer.get('available')} can be bought now.")


def write_off(
    sku: Sku,
    quantity: Annotated[int, typer.Argument(min=1, help="How many are broken or lost; they are taken away.")],
    reason: Annotated[str | None, typer.Option(help="Why, for whoever reads the stock's history.")] = None,
    url: options.Url = None,
    token: options.Token = None,
    as_json: options.Json = False,
) -> None:
    """Take broken or lost goods out of the stock. What orders have reserved stays theirs.

    It is not repeated by itself: when the reply is lost, look at the stock before you do it again.

    [bold]Example[/bold]

        checkout write-off limited-print 1 --reason "torn"

    Exit codes: 0 written off, 1 refused.
    """
    with speaking(as_json) as output, Shop(locate(url, token)) as shop:
        answer = shop.operate("write-off", body={"sku": sku, "quantity": quantity, "reason": reason})
        output.result(answer, f"Wrote {quantity} {sku} off; {answer.get('available')} can be bought now.")


def withdraw(
    sku: Sku,
    url: options.Url = None,
    token: options.Token = None,
    as_json: options.Json = False,
) -> None:
    """Sell a product no longer. Orders that have it are untouched.

    [bold]Example[/bold]

        checkout withdraw tote-bag

    Exit codes: 0 withdrawn, 1 refused.
    """
    with speaking(as_json) as output, Shop(locate(url, token)) as shop:
        answer = shop.operate("products", sku, "withdraw")
        output.result(answer, f"{answer.get('name')} is no longer sold.")


def offer(
    sku: Sku,
    url: options.Url = None,
    token: options.Token = None,
    as_json: options.Json = False,
) -> None:
    """Sell a withdrawn product again.

    [bold]Example[/bold]

        checkout offer tote-bag

    Exit codes: 0 offered, 1 refused.
    """
    with speaking(as_json) as output, Shop(locate(url, token)) as shop:
        answer = shop.operate("products", sku, "offer")
        output.result(answer, f"{answer.get('name')} is sold again; {answer.get('available')} can be bought now.")


def audit(
    grace: Annotated[
        float | None,
        typer.Option(min=0, max=3600, help="Seconds an order must have been left alone to be judged."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Read everything again, in pieces; else what may have changed since.")
    ] = False,
    url: options.Url = None,
    token: options.Token = None,
    as_json: options.Json = False,
) -> None:
    """Check every promise on the live system: both ledgers, the stock, the orders, the workflows.

    An order that has ended and was found in order is not read again until something changes in it, but for a few old
    ones each time. With --all everything is, also what was changed behind the schema's back; one such audit at a time.

    [bold]Examples[/bold]

        checkout audit

        checkout audit --all

    Exit codes: 0 every invariant holds, 1 violations were found.
    """
    with speaking(as_json) as output:
        with Shop(locate(url, token)) as shop, output.working("Auditing…") as status:

            def tell(progress: Json) -> None:
                if status is not None:
                    status.update("Auditing {what}: {done:,} of about {of:,}…".format(**progress))

            report = shop.audit_everything(grace, tell) if everything else shop.audit(grace)
        output.result(report, render.audit)
        if not report.get("ok"):
            raise typer.Exit(NO)
