"""The `checkout` command."""

import typer

app = typer.Typer(no_args_is_help=True, help="Run, try and inspect the reliable checkout.")


def main() -> None:
    app()
