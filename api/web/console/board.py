"""The overview's data. What reads a lot is kept for a few seconds, whoever looks and however often pages refresh."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

from api.audit import AuditOut
from api.state import Gateway
from api.web.console import charts
from db import insights

logger = logging.getLogger("api")

CHARTED = 12  # products whose stock the overview shows: those of which least is left
CHART_AGE = 5.0  # seconds a chart may be old
VERDICT_AGE = 60.0  # seconds the audit's verdict may be old
STUCK_GRACE = timedelta(seconds=20)  # how long an order may be late before it counts as stuck
AUDIT_GRACE = timedelta(seconds=30)

Value = TypeVar("Value")


@dataclass(frozen=True)
class Charts:
    figures: insights.Figures
    outcomes: charts.Columns
    time_to_pay: charts.TimeToPay
    stock: list[charts.StockRow]


@dataclass(frozen=True)
class Board(Charts):
    """Everything the overview shows. `verdict` is None until the first audit has ended."""

    stuck: list[insights.StuckOrder]
    verdict: AuditOut | None
    verdict_trouble: str | None


class Boards:
    """One for the process."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[float, Any]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._auditing: asyncio.Task[None] | None = None
        self._verdict: AuditOut | None = None
        self._verdict_at = -VERDICT_AGE
        self._trouble: str | None = None

    async def read(self, gateway: Gateway, span: charts.Span) -> Board:
        self._audit_now_and_then(gateway)
        kept = await self._recent(span.name, CHART_AGE, lambda: _read_charts(gateway, span))
        async with gateway.engine.connect() as connection:
            stuck = await insights.stuck_orders(connection, STUCK_GRACE)
        return Board(**vars(kept), stuck=stuck, verdict=self._verdict, verdict_trouble=self._trouble)

    async def _recent(self, name: str, age: float, read: Callable[[], Awaitable[Value]]) -> Value:
        """A value not older than `age`; of several who want it at once, one reads."""
        async with self._locks.setdefault(name, asyncio.Lock()):
            at, value = self._kept.get(name, (-age, None))
            if time.monotonic() - at > age:
                value = await read()
                self._kept[name] = (time.monotonic(), value)
            return cast(Value, value)

    def _audit_now_and_then(self, gateway: Gateway) -> None:
        """In the background: a page does not wait for it, the next refresh shows it."""
        is_old = time.monotonic() - self._verdict_at > VERDICT_AGE
        if is_old and (self._auditing is None or self._auditing.done()):
            self._auditing = asyncio.create_task(self._audit(gateway))

    async def _audit(self, gateway: Gateway) -> None:
        try:
            self._verdict = await gateway.auditor.recent(AUDIT_GRACE)
            self._trouble = None
        except Exception as error:  # whatever it is, the board says that there is no verdict
            logger.warning("The audit cannot be run now: %s", type(error).__name__)
            self._trouble = "The audit cannot be run now: PostgreSQL or Temporal does not answer."
        self._verdict_at = time.monotonic()


async def _read_charts(gateway: Gateway, span: charts.Span) -> Charts:
    until = charts.whole_step(datetime.now(UTC), span.step)
    since = until - span.length
    async with gateway.engine.connect() as connection:
        return Charts(
            figures=await insights.figures(connection, since),
            outcomes=charts.outcomes(
                await insights.outcomes_over_time(connection, since, until, span.step), span, until
            ),
            time_to_pay=charts.pay_times(await insights.time_to_pay(connection, since, charts.PAY_BOUNDS)),
            stock=charts.stock(await insights.stock_levels(connection, await insights.scarcest(connection, CHARTED))),
        )
