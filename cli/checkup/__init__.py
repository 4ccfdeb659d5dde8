"""The checks of `checkout doctor`: each answers in a sentence what it found, or raises `Wrong` with what to do."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import asyncpg
import httpx
from sqlalchemy.exc import SQLAlchemyError
from temporalio.service import RPCError

from checkout.errors import CheckoutError
from cli.locate import Location
from runtime.settings import Settings

PATIENCE = 10.0  # seconds for one question
_PATIENCE_OF_A_CHECK = 30.0


class State(StrEnum):
    OK = "ok"
    WRONG = "wrong"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Finding:
    name: str
    state: State
    says: str


@dataclass(frozen=True)
class Patient:
    """Whom it is about. `clock`: seconds by which this machine's and the payment service's clocks may differ.

    `url` is where the gateway is reached from here, where that is not its public address.
    """

    settings: Settings
    place: Location
    clock: float
    url: str | None = None

    @property
    def gateway(self) -> str:
        return self.place.gateway_url if self.url or self.place.is_local else self.settings.public_url


class Wrong(Exception):
    """What is wrong, in a sentence that says what to do."""


class Skipped(Exception):
    """Why it cannot be told."""


Check = Callable[[Patient], Awaitable[str]]


async def examine(patient: Patient, checks: Mapping[str, Check], grounds: Mapping[str, str]) -> list[Finding]:
    """All checks, in their order; one whose ground is not well is skipped."""
    found: dict[str, Finding] = {}
    for name, check in checks.items():
        ground = grounds.get(name)
        if ground and found[ground].state is not State.OK:
            found[name] = Finding(name, State.SKIPPED, f"{ground} has to be well first.")
        else:
            found[name] = await _examine(name, check, patient)
    return list(found.values())


async def _examine(name: str, check: Check, patient: Patient) -> Finding:
    try:
        async with asyncio.timeout(_PATIENCE_OF_A_CHECK):
            return Finding(name, State.OK, await check(patient))
    except Skipped as reason:
        return Finding(name, State.SKIPPED, str(reason))
    except (Wrong, CheckoutError) as reason:
        return Finding(name, State.WRONG, str(reason))
    except (OSError, TimeoutError, httpx.HTTPError, SQLAlchemyError, asyncpg.PostgresError, RPCError) as error:
        return Finding(name, State.WRONG, f"It does not answer as it should: {error or type(error).__name__}")
