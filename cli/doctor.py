"""`checkout doctor`: is this deployment well, from the settings to the webhook?"""

import asyncio
import os
from dataclasses import asdict
from typing import Annotated

import typer

from cli import options, render
from cli.checkup import Patient, State, database, examine, services, temporal
from cli.locate import Location, locate, settings
from cli.output import BROKEN, NO, CommandFailed, speaking
from runtime.settings import Settings
from stack.config import Credentials, StackConfig, forget_libpq, python_environment

_CHECKS = {
    "PostgreSQL": database.answers,
    "its encoding": database.encoding,
    "its schema": database.schema,
    "its writes": database.writes,
    "Temporal": temporal.answers,
    "its search attributes": temporal.search_attributes,
    "its schedule": temporal.schedule,
    "its workers": temporal.workers,
    "payment service": services.payment,
    "clock": services.clock,
    "gateway": services.gateway,
    "worker": services.worker,
    "webhook": services.webhook,
}
_GROUNDS = {
    **dict.fromkeys(("its encoding", "its schema", "its writes"), "PostgreSQL"),
    **dict.fromkeys(("its search attributes", "its schedule", "its workers"), "Temporal"),
    "clock": "payment service",
    "webhook": "gateway",
}


def doctor(
    clock: Annotated[float, typer.Option(min=0, help="Seconds by which clocks may differ.")] = 30.0,
    url: options.Url = None,
    as_json: options.Json = False,
) -> None:
    """Examine a deployment: PostgreSQL, Temporal, payment service, clocks, gateway, worker, webhook.

    It reads the settings that the processes are given (the environment, `.env`); of a `checkout up` on this machine it
    knows them. It changes nothing: it asks, and sends the gateway one signed event of a kind that is not needed.

    [bold]Examples[/bold]

        checkout doctor

        checkout doctor --url http://gateway:8082

        checkout doctor --json

    Exit codes: 0 all is well, 1 something is not, and its line says what to do.
    """
    with speaking(as_json) as output:
        place = locate(url)
        known = _as_its_parts(place) if place.is_local else settings()
        with output.working("Examining…"):
            findings = asyncio.run(examine(Patient(known, place, clock, url), _CHECKS, _GROUNDS))
        is_well = all(finding.state is not State.WRONG for finding in findings)
        output.result({"ok": is_well, "checks": [asdict(finding) for finding in findings]}, render.checks)
        if not is_well:
            raise typer.Exit(NO)


def _as_its_parts(place: Location) -> Settings:
    """The settings that a `checkout up` of this machine gives to its parts."""
    config = StackConfig(settings=settings())
    try:
        hook = (
            config.own("stripe_webhook_secrets") or (config.data_dir / "secrets" / "webhook-secret").read_text().strip()
        )
    except OSError as error:
        raise CommandFailed(BROKEN, "The stack's secrets cannot be read", str(error.strerror)) from None
    if config.own("database_url") is None:
        forget_libpq(os.environ)
    os.environ.update(python_environment(config, Credentials(str(place.database_url), str(place.admin_token), hook)))
    return settings()
