"""The `checkout` command: every subcommand by name. What one needs is imported when it runs, not to list it."""

import inspect
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from importlib import import_module
from inspect import Parameter
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from cli.options import Json, Token, Url
from cli.output import BROKEN, speaking

_STYLE: dict[str, Any] = {"rich_markup_mode": "rich", "pretty_exceptions_enable": False, "add_completion": False}
_CODES = "2 usage, 3 nobody answers, 4 the command itself failed (settings, output, a fault of its own)"
# Name: the module with the function of that name, under which heading it is listed, what it says of itself there.
COMMANDS = {
    "up": ("cli.up", "Run", "Start everything: database, Temporal, payment service, worker and gateway."),
    "demo": ("cli.demo", "Run", "A tour: buy, pay, kill the worker in the middle of a payment, audit."),
    "reset": ("cli.reset", "Run", "Delete all data of the local stack."),
    "buy": ("cli.orders", "Buy", "Buy something: reserves stock and opens a payment session."),
    "pay": ("cli.orders", "Buy", "Pay for an order, decline it or give it up, and wait for what becomes of it."),
    "status": ("cli.orders", "Look", "Show an order: status, payment, dispatch progress and timeline."),
    "orders": ("cli.orders", "Look", "List orders, newest first."),
    "events": ("cli.orders", "Look", "Show what happens to orders, as it happens."),
    "audit": ("cli.operator", "Operate", "Check every promise on the live system."),
    "doctor": ("cli.doctor", "Operate", "Examine a deployment, from the settings to the webhook."),
    "refund": ("cli.operator", "Operate", "Give money of an order back: all, an amount, or some of its goods."),
    "restock": ("cli.operator", "Operate", "Add stock."),
    "write-off": ("cli.operator", "Operate", "Take broken or lost goods out of the stock."),
    "withdraw": ("cli.operator", "Operate", "Sell a product no longer."),
    "offer": ("cli.operator", "Operate", "Sell a withdrawn product again."),
    "bench": ("cli.bench", "Operate", "Measure a running stack with whole paid checkouts."),
}


class Command(TyperCommand):
    """A command that is imported when it is needed: to run, or to show its own help."""

    def __init__(self, name: str, module: str, panel: str, summary: str) -> None:
        super().__init__(name, help=summary, rich_help_panel=panel)
        self._module = module

    def load(self) -> Any:
        function = getattr(import_module(self._module), str(self.name).replace("-", "_"))
        app = typer.Typer(**_STYLE)
        epilog = None if self.name == "up" else f"And for all commands: {_CODES}."
        app.command(self.name, help=_help(function.__doc__), epilog=epilog)(_framed(function))
        return typer.main.get_command(app)

    def make_context(self, *arguments: Any, **more: Any) -> Any:
        return self.load().make_context(*arguments, **more)


def _option(name: str, annotation: Any, default: Any = None) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


# What a command may ask for, and the options that it is made of; they are listed last.
_MADE_OF = {"shop": (_option("url", Url), _option("token", Token)), "output": (_option("as_json", Json, False),)}


def _framed(command: Callable[..., None]) -> Callable[..., None]:
    """The command with the signature that typer reads: its parameters `output` and `shop` are replaced by --json and by
    --url and --token, from which they are made when it runs. Errors and exit codes are `speaking`'s."""
    parameters = dict(inspect.signature(command, eval_str=True).parameters)
    asked = [name for name in _MADE_OF if parameters.pop(name, None)]
    if "output" not in asked:
        return command

    def run(*, as_json: bool, **typed: Any) -> None:
        with speaking(as_json) as output, ExitStack() as until_the_end:
            if "shop" in asked:
                from cli.client import Shop, locate

                typed["shop"] = until_the_end.enter_context(Shop(locate(typed.pop("url"), typed.pop("token"))))
            command(output=output, **typed)

    options = [one.replace(kind=Parameter.KEYWORD_ONLY) for one in parameters.values()]
    options += [option for name in asked for option in _MADE_OF[name]]
    run.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined] # what typer reads
    return run


def _help(docstring: str | None) -> str:
    """The docstring, with a heading above its examples (the indented lines) and a paragraph for each. Empty with
    PYTHONOPTIMIZE=2, which takes docstrings away."""
    text = inspect.cleandoc(docstring or "")
    examples = [line for line in text.splitlines() if line.startswith("    ")]
    if not examples:
        return text
    heading = "[bold]Examples[/bold]" if len(examples) > 1 else "[bold]Example[/bold]"
    return text.replace("\n".join(examples), "\n\n".join([heading, *examples]))


class Commands(TyperGroup):
    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = {name: Command(name, *about) for name, about in COMMANDS.items()}


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"Exit codes: 0 done, 1 the answer is no, {_CODES}. Begin with: checkout demo",
    **_STYLE,
)


@app.callback()
def checkout() -> None:
    """Run, try and inspect the reliable checkout: never charged without fulfilment, never charged twice."""


def main() -> None:
    """Entry point of `checkout`. Prints what it can on whatever is there: an old terminal, a closed one."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for as long as we live
        getattr(sys, name).reconfigure(errors="replace")
    code: object = BROKEN
    try:
        app(prog_name="checkout")
    except SystemExit as ended:
        code = ended.code
    except OSError as error:  # of the last words; what a command has to say of its own failure is in `cli.output`
        sys.stderr.write(f"The output cannot be written: {error.strerror}\n")
    if "temporalio" in sys.modules:  # its runtime may abort while the interpreter is torn down (sdk-python issue 300)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else int(code is not None))
    sys.exit(code)  # type: ignore[arg-type] # what `SystemExit` held
