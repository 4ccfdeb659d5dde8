"""The `checkout` command: every subcommand, registered without importing what it needs to run."""

import typer

from cli.bench import bench
from cli.buy import buy
from cli.demo import demo
from cli.events import events
from cli.operator import audit, offer, restock, withdraw, write_off
from cli.orders import orders, status
from cli.pay import pay
from cli.reset import reset
from cli.up import up

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Run, try and inspect the reliable checkout: never charged without fulfilment, never charged twice.",
    epilog="Exit codes: 0 done, 1 the answer is no, 2 usage, 3 nobody answers. Begin with: checkout demo",
)
# Its options, --help included, are the supervisor's.
app.command(
    rich_help_panel="Run",
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)(up)
for command, panel in (
    (demo, "Run"),
    (reset, "Run"),
    (buy, "Buy"),
    (pay, "Buy"),
    (status, "Look"),
    (orders, "Look"),
    (events, "Look"),
    (audit, "Operate"),
    (restock, "Operate"),
    (write_off, "Operate"),
    (withdraw, "Operate"),
    (offer, "Operate"),
    (bench, "Operate"),
):
    app.command(rich_help_panel=panel)(command)


def main() -> None:
    """Entry point of `checkout`."""
    app(prog_name="checkout")


if __name__ == "__main__":
    main()
