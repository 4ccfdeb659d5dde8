"""What is typed: options that several commands share, and how it is read."""

import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from checkout.errors import InvalidKey
from cli.output import USAGE, CommandFailed

Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, and nothing else.")]
Url = Annotated[
    str | None,
    typer.Option("--url", metavar="URL", help="The gateway, when it is not the one of this data directory."),
]
Token = Annotated[
    str | None,
    typer.Option("--token", metavar="TOKEN", help="The operator token, when it is not in stack.json or .env."),
]
Patience = Annotated[
    float,
    typer.Option("--timeout", metavar="SECONDS", min=0, help="How long to keep asking before giving up."),
]
Read = TypeVar("Read")


def read(option: str, text: str, reader: Callable[[str], Read], who: str = "") -> Read:
    """Parses the text of an option with `reader`. Raises `CommandFailed` (exit code 2) in its words, which `who`
    begins."""
    try:
        return reader(text)
    except (InvalidKey, ValueError) as error:
        raise CommandFailed(USAGE, f"Wrong {option}", f"{who}{error}") from None


def quantities(items: list[str], pattern: re.Pattern[str], like: str) -> list[dict[str, Any]]:
    """`["pen:2", "pen", "notebook"]` is three pens and a notebook, in the order first named.

    Only the shape is checked here; which SKUs there are and how many may be bought is the shop's word. Raises
    `typer.BadParameter` (exit code 2) for what is not `like` that.
    """
    found: dict[str, int] = {}
    for item in items:
        match = pattern.fullmatch(item)
        if match is None:
            raise typer.BadParameter(f"{item!r} is not {like}")
        found[match["sku"]] = found.get(match["sku"], 0) + int(match["quantity"] or 1)
    return [{"sku": sku, "quantity": quantity} for sku, quantity in found.items()]
