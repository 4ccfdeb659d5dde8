"""`checkout up`: hands over to `stack.up`, which is imported only when it is wanted."""

import typer


def up(context: typer.Context) -> None:
    """Start everything: PostgreSQL, Temporal, the payment service, the worker and the gateway.

    Exit codes and options are those of the supervisor: checkout up --help
    """
    from stack.up import up as start

    command = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="rich")
    command.command()(start)
    command(args=list(context.args), prog_name="checkout up")
