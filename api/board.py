"""The overview's data. What reads a lot is kept for a few seconds, whoever looks and however often pages refresh."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from api.audit import Auditor, AuditOut
from checkout.orders import OrderStatus
from db import insights

logger = logging.getLogger("api")

CHARTED = 12  # products whose stock the overview shows: those of which least is left
CHART_AGE = 5.0  # seconds a chart may be old
VERDICT_AGE = 60.0  # seconds the audit's verdict may be old
AUDIT_GRACE = timedelta(seconds=30)
STUCK_GRACE = timedelta(seconds=20)  # how long an order may be late before it counts as stuck

_PAY_BOUNDS = [5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0]  # seconds
_PAY_LABELS = ["< 5 s", "15 s", "30 s", "1 min", "2 min", "5 min", "15 min", "more"]


@dataclass(frozen=True)
class Span:
    """A range of time to look at: `columns` steps that end now. `clock` is the strftime of a column's label."""

    name: str
    step: timedelta
    columns: int
    clock: str

    @property
    def length(self) -> timedelta:
        return self.step * self.columns

    def end(self, now: datetime) -> datetime:
        """The end of the step that is now under way, so that columns keep their place while time passes."""
        seconds = self.step.total_seconds()
        return datetime.fromtimestamp((now.timestamp() // seconds + 1) * seconds, UTC)


SPANS = {
    "hour": Span("hour", timedelta(minutes=2), 30, "%H:%M"),
    "day": Span("day", timedelta(hours=1), 24, "%H:00"),
    "week": Span("week", timedelta(hours=6), 28, "%d %b"),
}


@dataclass(frozen=True)
class Chart:
    """Orders by kind, column by column. The template draws it as SVG, without script."""

    labels: list[str]
    columns: list[Counter[str]]

    @property
    def top(self) -> int:
        """What the full height stands for, as people can read it: 1, 2, 5, 10, 20, 50, …"""
        highest, scale = max(column.total() for column in self.columns), 1
        while highest > 5 * scale:
            scale *= 10
        return next(factor * scale for factor in (1, 2, 5) if highest <= factor * scale)

    @property
    def totals(self) -> Counter[str]:
        return sum(self.columns, Counter())


@dataclass(frozen=True)
class Charts:
    takings: dict[str, int]
    outcomes: Chart
    time_to_pay: Chart
    pay_times: list[insights.PayTimes]
    stock: list[insights.StockLevel]
    read_at: float = field(default_factory=time.monotonic)


def outcomes(rows: Iterable[insights.OutcomeCount], span: Span, until: datetime) -> Chart:
    """Count orders by what became of them, column by column of the span."""
    labels = [(until - span.step * back).strftime(span.clock) for back in range(span.columns, 0, -1)]
    columns: list[Counter[str]] = [Counter() for _ in labels]
    for row in rows:
        status = OrderStatus(row.status)
        outcome = "kept" if status.is_kept else "live" if status.is_live else status.value
        columns[-int((until - row.bucket) / span.step)][outcome] += row.orders
    return Chart(labels, columns)


def time_to_pay(rows: Iterable[insights.PayTimes]) -> Chart:
    counted = Counter({row.bucket: row.orders for row in rows})
    return Chart(_PAY_LABELS, [Counter(kept=counted[bucket]) for bucket in range(len(_PAY_LABELS))])


async def read_charts(engine: AsyncEngine, span: Span) -> Charts:
    until = span.end(datetime.now(UTC))
    since = until - span.length
    async with engine.connect() as connection:
        takings = await insights.takings(connection, since)
        counts = await insights.outcomes_over_time(connection, since, until, span.step)
        pay_times = await insights.time_to_pay(connection, since, _PAY_BOUNDS)
        stock = await insights.stock_levels(connection, await insights.scarcest(connection, CHARTED))
    return Charts(takings, outcomes(counts, span, until), time_to_pay(pay_times), pay_times, stock)


class Board:
    """One for the process. `verdict` is None until the first audit has ended; `can_audit`: the last one could be
    run."""

    def __init__(
        self,
        engine: AsyncEngine,
        auditor: Auditor,
        read: Callable[[AsyncEngine, Span], Awaitable[Charts]] = read_charts,
    ) -> None:
        self._engine, self._auditor, self._read = engine, auditor, read
        self._charts: dict[str, Charts] = {}
        self._reading = {name: asyncio.Lock() for name in SPANS}
        self._auditing: asyncio.Task[None] | None = None
        self._audited_at = -VERDICT_AGE
        self.verdict: AuditOut | None = None
        self.can_audit = True

    async def charts(self, span: Span) -> Charts:
        """At most `CHART_AGE` old. Of several who ask at once, one reads."""
        async with self._reading[span.name]:
            charts = self._charts.get(span.name)
            if charts is None or time.monotonic() - charts.read_at > CHART_AGE:
                charts = self._charts[span.name] = await self._read(self._engine, span)
            return charts

    async def stuck(self) -> list[insights.StuckOrder]:
        """Orders that should have moved on, longest first."""
        async with self._engine.connect() as connection:
            return await insights.stuck_orders(connection, STUCK_GRACE)

    async def stock(self, skus: Sequence[str]) -> list[insights.StockLevel]:
        async with self._engine.connect() as connection:
            return await insights.stock_levels(connection, skus)

    def audit_now_and_then(self) -> None:
        """Start an audit in the background if the last one is old; the page's next refresh shows its verdict."""
        is_old = time.monotonic() - self._audited_at > VERDICT_AGE
        if is_old and (self._auditing is None or self._auditing.done()):
            self._auditing = asyncio.create_task(self._audit())

    async def _audit(self) -> None:
        try:
            self.verdict, self.can_audit = await self._auditor.recent(AUDIT_GRACE), True
        except Exception as error:  # whatever it is, the board says that there is no verdict
            logger.warning("The audit cannot be run now: %s", type(error).__name__)
            self.can_audit = False
        self._audited_at = time.monotonic()
