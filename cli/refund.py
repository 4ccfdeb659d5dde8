"""`checkout refund`: give money of an order back."""

import re
import secrets
from typing import Annotated, Any

import typer

from checkout.currencies import minor_units
from checkout.errors import InvalidKey
from checkout.ids import parse_checkout_key
from cli import options, render
from cli.client import Shop
from cli.locate import locate
from cli.output import USAGE, CommandFailed, Json, speaking

_LINE = re.compile(r"(?P<sku>[a-z0-9][a-z0-9-]{0,62})(?:[=:](?P<quantity>[0-9]{1,3}))?", re.ASCII)


def refund(
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
    url: options.Url = None,
    token: options.Token = None,
    as_json: options.Json = False,
) -> None:
    """Give money of an order back: an amount, what some of its goods cost, or all that is left.

    Never more than was paid, whoever asks at the same time. The payment service has taken it when this ends; it may
    still be on its way, and checkout status tells what became of it.

    [bold]Examples[/bold]

        checkout refund ord_0123456789abcdef0123456789abcdef

        checkout refund birthday-1 --line pen=1 --no-restock --reason "Arrived broken"

        checkout refund birthday-1 --amount 4.50 --key goodwill-1

    Exit codes: 0 given back or on its way, 1 refused: not paid, not so much of it, disputed.
    """
    with speaking(as_json) as output, Shop(locate(url, token)) as shop:
        if amount is not None and line:
            raise CommandFailed(USAGE, "Choose one", "--amount and --line exclude each other")
        if amount is not None and restock:
            raise CommandFailed(USAGE, "An amount moves no goods", "Name them: --line SKU=QTY --restock")
        order = shop.find_order(reference)
        currency = str(order["currency"])
        body: Json = {"lines": _lines(line)} if line else {}
        if amount is not None:
            body["amount"] = _amount(amount, currency)
        body |= {name: value for name, value in (("restock", restock), ("reason", reason)) if value is not None}
        key = _key(key) if key else secrets.token_urlsafe(20) if "amount" in body or "lines" in body else None
        with output.working("Giving the money back…"):
            answer = shop.refund(str(order["order_id"]), body, key, timeout)
        made = answer.get("refund")
        said = render.refund_line(made, currency) if made else "All of it was given back before."
        output.result({**answer, "key": key}, said + (f"\nkey {key}" if key else ""))


def _lines(lines: list[str]) -> list[dict[str, Any]]:
    found: dict[str, int] = {}
    for text in lines:
        match = _LINE.fullmatch(text)
        if match is None:
            raise typer.BadParameter(f"{text!r} is not SKU=QUANTITY, such as pen=1")
        found[match["sku"]] = found.get(match["sku"], 0) + int(match["quantity"] or 1)
    return [{"sku": sku, "quantity": quantity} for sku, quantity in found.items()]


def _amount(text: str, currency: str) -> int:
    try:
        return minor_units(text, currency)
    except ValueError as error:
        raise CommandFailed(USAGE, "Wrong --amount", str(error)) from None


def _key(text: str) -> str:
    try:
        return parse_checkout_key(text)
    except InvalidKey as error:
        raise CommandFailed(USAGE, "Wrong --key", str(error)) from None
