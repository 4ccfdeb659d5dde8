"""The operator's commands: `audit`, `refund`, and for the stock `restock`, `write-off`, `withdraw` and `offer`."""

import re
from typing import Annotated

import typer

from checkout.ids import new_checkout_key, parse_checkout_key
from checkout.money import minor_units
from cli import options, render
from cli.client import Shop
from cli.output import USAGE, CommandFailed, Json, Output

Sku = Annotated[str, typer.Argument(help="The product.")]
_LINE = re.compile(r"(?P<sku>[a-z0-9][a-z0-9-]{0,62})(?:[=:](?P<quantity>[0-9]{1,3}))?", re.ASCII)


def audit(
    output: Output,
    shop: Shop,
    grace: Annotated[
        float | None,
        typer.Option(min=0, max=3600, help="Seconds an order must have been left alone to be judged."),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Read everything again, in pieces; else what may have changed since.")
    ] = False,
) -> None:
    """Check every promise on the live system: both ledgers, the stock, the orders, the workflows.

    An order that has ended and was found in order is not read again until something changes in it, but for a few old
    ones each time. With --all everything is, also what was changed behind the schema's back; one such audit at a time.

        checkout audit
        checkout audit --all

    Exit codes: 0 every invariant holds, 1 violations were found.
    """
    with output.working("Auditing…") as tell:
        report = shop.audit_everything(grace, tell) if everything else shop.audit(grace)
    output.result(report, render.audit, ok=report.get("ok"))


def refund(
    output: Output,
    shop: Shop,
    reference: Annotated[str, typer.Argument(metavar="ORDER|SESSION|KEY", help="Whose money.")],
    amount: Annotated[
        str | None, typer.Option(metavar="AMOUNT", help="So much of it, in the order's currency: 4.50. Moves no goods.")
    ] = None,
    line: Annotated[
        list[str] | None, typer.Option(metavar="SKU=QTY", help="What so many of a line cost. May be repeated.")
    ] = None,
    restock: Annotated[
        bool | None, typer.Option(help="Whether the goods return to stock. They do, unless told otherwise.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why; the customer sees it.")] = None,
    key: Annotated[
        str | None, typer.Option(help="Stands for this one refund: repeated with it, nothing more is given back.")
    ] = None,
    timeout: options.Patience = 60.0,
) -> None:
    """Give money of an order back: an amount, what some of its goods cost, or all that is left.

    Never more than was paid, whoever asks at the same time. The payment service has taken it when this ends; it may
    still be on its way, and checkout status tells what became of it.

        checkout refund ord_0123456789abcdef0123456789abcdef
        checkout refund birthday-1 --line pen=1 --no-restock --reason "Arrived broken"
        checkout refund birthday-1 --amount 4.50 --key goodwill-1

    Exit codes: 0 given back or on its way, 1 refused: not paid, not so much of it, disputed.
    """
    if amount is not None and line:
        raise CommandFailed(USAGE, "Choose one", "--amount and --line exclude each other")
    if amount is not None and restock:
        raise CommandFailed(USAGE, "An amount moves no goods", "Name them: --line SKU=QTY --restock")
    order = shop.find_order(reference)
    currency = str(order["currency"])
    body: Json = {}
    if line:
        body["lines"] = options.quantities(line, _LINE, "SKU=QUANTITY, such as pen=1")
    if amount is not None:
        body["amount"] = options.read("--amount", amount, lambda text: minor_units(text, currency))
    if key:
        options.read("--key", key, parse_checkout_key)
    elif body:  # all that is left is one wish, however often; of parts there may be several
        key = new_checkout_key()
    body |= {name: value for name, value in (("restock", restock), ("reason", reason)) if value is not None}
    with output.working("Giving the money back…"):
        answer = shop.refund(str(order["order_id"]), body, key or None, timeout)
    made = answer.get("refund")
    said = render.refund_line(made, currency) if made else "All of it was given back before."
    output.result({**answer, "key": key or None}, said + (f"\nkey {key}" if key else ""))


def restock(
    output: Output,
    shop: Shop,
    sku: Sku,
    quantity: Annotated[int, typer.Argument(min=1, help="How many came in; they are added.")],
) -> None:
    """Add stock.

    It is not repeated by itself: when the reply is lost, look at the stock before you add it again.

        checkout restock limited-print 10

    Exit codes: 0 added, 1 refused.
    """
    answer = shop.operate("restock", body={"sku": sku, "quantity": quantity})
    output.result(answer, f"Added {quantity} {sku}; {answer.get('available')} can be bought now.")


def write_off(
    output: Output,
    shop: Shop,
    sku: Sku,
    quantity: Annotated[int, typer.Argument(min=1, help="How many are broken or lost; they are taken away.")],
    reason: Annotated[str | None, typer.Option(help="Why, for whoever reads the stock's history.")] = None,
) -> None:
    """Take broken or lost goods out of the stock. What orders have reserved stays theirs.

    It is not repeated by itself: when the reply is lost, look at the stock before you do it again.

        checkout write-off limited-print 1 --reason "torn"

    Exit codes: 0 written off, 1 refused.
    """
    answer = shop.operate("write-off", body={"sku": sku, "quantity": quantity, "reason": reason})
    output.result(answer, f"Wrote {quantity} {sku} off; {answer.get('available')} can be bought now.")


def withdraw(output: Output, shop: Shop, sku: Sku) -> None:
    """Sell a product no longer. Orders that have it are untouched.

        checkout withdraw tote-bag

    Exit codes: 0 withdrawn, 1 refused.
    """
    answer = shop.operate("products", sku, "withdraw")
    output.result(answer, f"{answer.get('name')} is no longer sold.")


def offer(output: Output, shop: Shop, sku: Sku) -> None:
    """Sell a withdrawn product again.

        checkout offer tote-bag

    Exit codes: 0 offered, 1 refused.
    """
    answer = shop.operate("products", sku, "offer")
    output.result(answer, f"{answer.get('name')} is sold again; {answer.get('available')} can be bought now.")
