"""`checkout doctor`: is this deployment well, from the settings to the webhook?"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Annotated

import asyncpg
import httpx
import typer
from sqlalchemy.exc import SQLAlchemyError
from temporalio.service import RPCError

from checkout.errors import CheckoutError
from cli import checkup, options, render
from cli.checkup import Patient, Skipped, Wrong
from cli.client import locate
from cli.output import BROKEN, CommandFailed, Json, Output
from runtime.settings import Settings, load_settings
from stack.config import StackConfig
from stack.data_dir import Location
from stack.environment import Credentials, forget_libpq, python_environment

_PATIENCE = 30.0  # seconds for a check
Check = Callable[[Patient], Awaitable[str]]
# By name: the check that has to be well first, if any, and what is asked.
_CHECKS: dict[str, tuple[str, Check]] = {
    "PostgreSQL": ("", checkup.postgresql),
    "its encoding": ("PostgreSQL", checkup.encoding),
    "its schema": ("PostgreSQL", checkup.schema),
    "its writes": ("PostgreSQL", checkup.writes),
    "Temporal": ("", checkup.temporal),
    "its search attributes": ("Temporal", checkup.search_attributes),
    "its schedule": ("Temporal", checkup.schedule),
    "its workers": ("Temporal", checkup.workers),
    "payment service": ("", checkup.payment),
    "clock": ("payment service", checkup.clock),
    "gateway": ("", checkup.gateway),
    "worker": ("", checkup.worker),
    "webhook": ("gateway", checkup.webhook),
}


def doctor(
    output: Output,
    clock: Annotated[float, typer.Option(min=0, help="Seconds by which clocks may differ.")] = 30.0,
    url: options.Url = None,
) -> None:
    """Examine a deployment: PostgreSQL, Temporal, payment service, clocks, gateway, worker, webhook.

    It reads the settings that the processes are given (the environment, `.env`); of a `checkout up` on this machine it
    knows them. It changes nothing: it asks, and sends the gateway one signed event of a kind that is not needed.

        checkout doctor
        checkout doctor --url http://gateway:8082
        checkout doctor --json

    Exit codes: 0 all is well, 1 something is not, and its line says what to do.
    """
    place = locate(url)
    known = _as_its_parts(place) if place.is_local else load_settings()
    gateway = place.gateway_url if url or place.is_local else known.public_url
    with output.working("Examining…"):
        found = asyncio.run(_examine(Patient(known, gateway, clock, place.is_local)))
    is_well = all(check["state"] != "wrong" for check in found)
    output.result({"ok": is_well, "checks": found}, render.checks, ok=is_well)


async def _examine(patient: Patient) -> list[Json]:
    """`{name, state, says}` of each check, in their order; `state` is ok, wrong or skipped."""
    states, found = {"": "ok"}, []
    for name, (ground, check) in _CHECKS.items():
        states[name], says = "skipped", f"{ground} has to be well first."
        if states[ground] == "ok":
            states[name], says = await _look(check, patient)
        found.append({"name": name, "state": states[name], "says": says})
    return found


async def _look(check: Check, patient: Patient) -> tuple[str, str]:
    try:
        async with asyncio.timeout(_PATIENCE):
            return "ok", await check(patient)
    except Skipped as reason:
        return "skipped", str(reason)
    except (Wrong, CheckoutError) as reason:
        return "wrong", str(reason)
    except (OSError, TimeoutError, httpx.HTTPError, SQLAlchemyError, asyncpg.PostgresError, RPCError) as error:
        return "wrong", f"It does not answer as it should: {error or type(error).__name__}"


def _as_its_parts(place: Location) -> Settings:
    """The settings that a `checkout up` of this machine gives to its parts."""
    config = StackConfig(settings=load_settings())
    try:
        kept = config.data_dir / "secrets" / "webhook-secret"
        hook = config.own("stripe_webhook_secrets") or kept.read_text().strip()
    except OSError as error:
        raise CommandFailed(BROKEN, "The stack's secrets cannot be read", str(error.strerror)) from None
    forget_libpq(config)
    os.environ.update(python_environment(config, Credentials(str(place.database_url), str(place.admin_token), hook)))
    return load_settings()
