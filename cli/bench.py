"""`checkout bench`: measure a running stack with whole paid checkouts."""

import asyncio
import json
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from bench.measure import measure, silent
from bench.progress import showing
from bench.report import render
from bench.target import Load
from cli import options
from cli.client import Shop
from cli.locate import locate
from cli.output import NO, UNREACHABLE, USAGE, CommandFailed, speaking


def bench(
    clients: Annotated[int, typer.Option("--clients", "-c", min=1, max=1000, help="Customers at a time.")] = 30,
    checkouts: Annotated[int, typer.Option("--checkouts", "-n", min=1, help="How many to measure.")] = 300,
    warmup: Annotated[int, typer.Option(min=0, help="How many to make first, unmeasured.")] = 30,
    sku: Annotated[str, typer.Option(help="What is bought, one piece each.")] = "pen",
    rate: Annotated[
        float | None, typer.Option(min=0.001, help="Begin at most so many a second; else as fast as it goes.")
    ] = None,
    patience: Annotated[float, typer.Option("--timeout", min=1, help="Seconds a checkout may take.")] = 60.0,
    keep: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep every measurement: one JSON line a checkout.")
    ] = None,
    url: options.Url = None,
    token: options.Token = None,
    as_json: options.Json = False,
) -> None:
    """Measure whole checkouts: Buy, pay, wait until fulfilled. Ends with an audit.

        checkout bench --clients 30 --checkouts 300
        checkout bench -c 1 -n 50 --json

    Exit codes: 0 every checkout was fulfilled and the audit is clean, 1 not so.
    """
    with speaking(as_json) as output:
        place = locate(url, token)
        with Shop(place) as shop:  # a clear sentence before the load, not a thousand errors in it
            shop.orders(limit=1)  # the token, without which nothing is seen in time and no audit is made
            if not shop.sells(sku):
                raise CommandFailed(NO, "No such product", f"The shop does not sell {sku}")
        for address in (place.gateway_url, place.payment_url):
            if not address.startswith("http://"):
                raise CommandFailed(UNREACHABLE, "Plain http only", f"The benchmark cannot speak to {address}")
        target = place if place.is_local else replace(place, temporal_ui_url=None)
        load = Load(clients, checkouts, warmup, (sku,), rate, patience)
        try:  # before the load: afterwards all would be lost
            kept = keep.open("w") if keep is not None else None
        except OSError as error:
            raise CommandFailed(USAGE, "Wrong --keep", f"{keep} cannot be written: {error.strerror}") from None
        with showing() if output.err.is_terminal and not as_json else nullcontext(silent) as phase:
            report, tally = asyncio.run(measure(target, load, phase))
        if kept is not None:
            with kept:
                for one, seconds in zip(tally.order_ids, tally.fulfilled, strict=True):
                    kept.write(json.dumps({"order_id": one, "seconds": seconds}) + "\n")
        output.result(report, "", render)
        if not report["ok"]:
            raise typer.Exit(NO)
