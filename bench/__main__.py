"""`python -m bench`: the shop beside its peers, on this machine. (`checkout bench` measures a stack that runs.)"""

import asyncio
import importlib.util
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.contestants import CONTESTANTS
from bench.progress import showing
from bench.workloads import WORKLOADS
from runtime.settings import load_settings
from stack.data_dir import locate

_RESULTS = Path(__file__).parent / "results"
_EXAMPLES = """
[bold]Examples[/bold]

    python -m bench run --quick

    python -m bench run --peers ours,dbos --only one,peak --rounds 5
"""

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Measure the shop beside its peers: one machine, one PostgreSQL, the same customers, in turn.",
)


def _listed(title: str, lines: dict[str, str]) -> str:
    return f"[bold]{title}[/bold]\n\n" + "\n\n".join(f"    [cyan]{name}[/cyan]  {what}" for name, what in lines.items())


_HELP = "\n\n".join(
    [
        "Run contestants in turn, A B C A B C, and write what comes out: JSON, a table, pictures.",
        "Each is started over a database of its own in one PostgreSQL that writes its commits to disk, warmed up, "
        "measured, audited and stopped. Quit what else runs: the report says how much of the CPU others took.",
        _listed("Contestants", {each.name: each.title for each in CONTESTANTS.values()}),
        _listed("Workloads", {each.name: each.what for each in WORKLOADS.values()}),
        _EXAMPLES,
        "Exit codes: 0 all was measured and every audit is clean, 1 not so, 2 usage.",
    ]
)


def _names(text: str | None, known: Mapping[str, Any], option: str) -> list[Any]:
    names = list(known) if text is None else [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise typer.BadParameter(
            f"{', '.join(unknown) or 'nothing'}: choose from {', '.join(known)}", param_hint=option
        )
    return [known[name] for name in names]


@app.command(help=_HELP)
def run(
    peers: Annotated[str | None, typer.Option(metavar="A,B", help="Only these contestants.")] = None,
    only: Annotated[str | None, typer.Option(metavar="A,B", help="Only these workloads.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often each contestant has its turn.")] = 3,
    quick: Annotated[bool, typer.Option(help="Small sizes, one round: minutes, and rough.")] = False,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where the results go.")] = _RESULTS,
    data_dir: Annotated[
        Path, typer.Option(metavar="DIR", help="Where the databases lie meanwhile: on a disk, not in memory.")
    ] = Path("var/bench"),
    keep: Annotated[bool, typer.Option(help="Keep the databases and the logs.")] = False,
) -> None:
    from bench.compare import Plan, compare
    from bench.report import draw, table

    contestants, workloads = _names(peers, CONTESTANTS, "--peers"), _names(only, WORKLOADS, "--only")
    if any(each.name in ("dbos", "widgets") for each in contestants) and importlib.util.find_spec("dbos") is None:
        raise typer.BadParameter("dbos is not installed: run `make bench`, or leave it out", param_hint="--peers")
    plan = Plan(contestants, workloads, 1 if quick else rounds, quick)
    out.mkdir(parents=True, exist_ok=True)
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o711)
    try:
        with showing() as phase:
            measured = asyncio.run(compare(plan, data_dir.absolute(), phase))
    finally:
        if not keep:
            shutil.rmtree(data_dir, ignore_errors=True)
    # Four digits are more than a measurement knows.
    document = json.loads(json.dumps(measured), parse_float=lambda digits: float(f"{float(digits):.4g}"))
    (out / "results.json").write_text(json.dumps(document, indent=1) + "\n")
    (out / "table.md").write_text(table(document))
    draw(document, out)
    typer.echo(table(document), nl=False)
    wrong = [
        f"{each['who']}, {each['workload']}: {told}"
        for each in document["results"]
        if (told := each.get("failed") or each.get("errors") or each.get("violations"))
    ]
    for line in wrong:
        typer.echo(line, err=True)
    raise typer.Exit(1 if wrong else 0)


@app.command()
def history(
    orders: Annotated[int, typer.Option(min=1, help="How many to add.")] = 1_000_000,
    database_url: Annotated[
        str | None, typer.Option(help="The database; else DATABASE_URL, else that of the stack that runs.")
    ] = None,
) -> None:
    """Give the shop a past: orders in the database, as if they had been sold in the last two years. For development.

    A million takes some minutes and 5 GB. They cannot be taken away again (`checkout reset` takes all). Have them
    audited before anything is timed: `checkout audit --all`.
    """
    from db.past import make_past

    settings = load_settings()
    if not settings.is_development:
        raise typer.BadParameter("orders that nobody made have no place in production", param_hint="CHECKOUT_ENV")
    given = settings.database_url.get_secret_value() if "database_url" in settings.model_fields_set else None
    address = database_url or given or locate().database_url
    if address is None:
        raise typer.BadParameter("no stack runs here: start one, or name its database", param_hint="--database-url")
    with showing() as phase:
        asyncio.run(make_past(address, orders, phase))


@app.command()
def growth(
    url: Annotated[str | None, typer.Option(help="The gateway; else that of the stack that runs.")] = None,
    token: Annotated[
        str | None, typer.Option(help="The operator token; else that of the stack, or CHECKOUT_ADMIN_TOKEN.")
    ] = None,
) -> None:
    """Time every page and list of a shop that runs, whatever it has sold. 1: one takes longer than it may."""
    from bench.growth import time_pages

    place = locate(url, token)
    if url is None and not place.is_local:
        raise typer.BadParameter("no stack runs here: start one, or say where it is and its token", param_hint="--url")
    with showing() as phase:
        try:
            timed = time_pages(place.gateway_url, str(place.admin_token), phase)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    typer.echo("| page | middle | slowest | size |\n| --- | --- | --- | --- |")
    for each in timed:
        mark = "" if each.is_quick else f" **(over {each.allowed * 1000:.0f} ms)**"
        typer.echo(
            f"| {each.name} | {each.middle * 1000:.0f} ms{mark} | {each.slowest * 1000:.0f} ms | {each.size:,} bytes |"
        )
    raise typer.Exit(0 if all(each.is_quick for each in timed) else 1)


if __name__ == "__main__":
    app(prog_name="python -m bench")
