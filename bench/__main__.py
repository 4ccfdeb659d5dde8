"""`python -m bench`: the shop beside its peers, on this machine. (`checkout bench` measures a stack that runs.)"""

import asyncio
import importlib.util
import json
import shutil
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from bench.contestants import CONTESTANTS
from bench.workloads import WORKLOADS

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


def _names(text: str | None, known: dict[str, Any], option: str) -> list[Any]:
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
    from bench.progress import showing

    contestants, workloads = _names(peers, CONTESTANTS, "--peers"), _names(only, WORKLOADS, "--only")
    if any(each.name in ("dbos", "widgets") for each in contestants) and importlib.util.find_spec("dbos") is None:
        raise typer.BadParameter("dbos is not installed: run `make bench`, or leave it out", param_hint="--peers")
    plan = Plan(contestants, workloads, 1 if quick else rounds, quick)
    out.mkdir(parents=True, exist_ok=True)
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o711)
    try:
        with showing() as phase:
            document = asyncio.run(compare(plan, data_dir.absolute(), phase))
    finally:
        if not keep:
            shutil.rmtree(data_dir, ignore_errors=True)
    (out / "results.json").write_text(json.dumps(_rounded(document), indent=1) + "\n")
    report(out)
    wrong = [each for each in document["results"] if each.get("failed") or each.get("errors") or each.get("violations")]
    for each in wrong:
        told = each.get("failed") or each.get("errors") or each.get("violations")
        typer.echo(f"{each['who']}, {each['workload']}: {told}", err=True)
    raise typer.Exit(1 if wrong else 0)


@app.command()
def report(
    out: Annotated[Path, typer.Argument(metavar="DIR", help="Where results.json is.")] = _RESULTS,
) -> None:
    """Draw the pictures and write the table anew from a results.json."""
    from bench.plots import draw, table

    document = json.loads((out / "results.json").read_text())
    text = table(document)
    (out / "table.md").write_text(text)
    draw(document, out)
    sys.stdout.write(text)


def _rounded(value: Any) -> Any:
    """Four digits are more than a measurement knows."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value


if __name__ == "__main__":
    app(prog_name="python -m bench")
