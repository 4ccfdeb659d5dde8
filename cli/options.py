"""What is typed: options that several commands share, how it is read, and what a command is given instead of it."""

import inspect
import re
from collections.abc import Callable
from contextlib import ExitStack
from inspect import Parameter
from typing import Annotated, Any, TypeVar

import typer

from checkout.errors import InvalidKey
from cli.output import USAGE, CommandFailed, speaking

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


def framed(command: Callable[..., None]) -> Callable[..., None]:
    """A command as typer sees it: where it asks for an `output`, and perhaps for the `shop`, it has the options that
    they are made of instead; how it ends, `speaking` tells."""
    parameters = dict(inspect.signature(command, eval_str=True).parameters)
    asked = [name for name in _MADE_OF if parameters.pop(name, None)]
    if "output" not in asked:
        return command

    def run(*, as_json: bool, **typed: Any) -> None:
        with speaking(as_json) as output, ExitStack() as until_the_end:
            if "shop" in asked:
                from cli.client import Shop
                from cli.locate import locate

                typed["shop"] = until_the_end.enter_context(Shop(locate(typed.pop("url"), typed.pop("token"))))
            command(output=output, **typed)

    options = [one.replace(kind=Parameter.KEYWORD_ONLY) for one in parameters.values()]
    options += [option for name in asked for option in _MADE_OF[name]]
    run.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined] # what typer reads
    return run


def _option(name: str, annotation: Any, default: Any = None) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


# What a command may ask for, and the options that it is made of; they are listed last.
_MADE_OF = {"shop": (_option("url", Url), _option("token", Token)), "output": (_option("as_json", Json, False),)}


def read(option: str, text: str, reader: Callable[[str], Read], who: str = "") -> Read:
    """What `reader` makes of an option. Raises `CommandFailed` (exit code 2) in its words, said of `who`."""
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
