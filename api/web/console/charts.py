"""Charts as geometry: the template draws them as SVG, without script. All lengths are hundredths of the chart."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from checkout.orders import OrderStatus
from db.insights import OutcomeCount, PayTimes, StockLevel

# How orders end, from the bottom of a column to its top, and the words of the legend.
OUTCOMES = {
    "kept": "paid and kept",
    "live": "undecided",
    "cancelled": "cancelled",
    "rejected": "refused",
    "refunded": "refunded",
}
_OUTCOME_OF = {
    OrderStatus.FULFILLED: "kept",
    OrderStatus.DISPATCHED: "kept",
    OrderStatus.PENDING: "live",
    OrderStatus.AWAITING_PAYMENT: "live",
    OrderStatus.PAYMENT_PROCESSING: "live",
    OrderStatus.CANCELLED: "cancelled",
    OrderStatus.REJECTED: "rejected",
    OrderStatus.REFUNDED: "refunded",
}


@dataclass(frozen=True)
class Span:
    """A range of time to look at: `columns` steps that end now."""

    name: str
    step: timedelta
    columns: int
    clock: str  # strftime of a column's label

    @property
    def length(self) -> timedelta:
        return self.step * self.columns


SPANS = {
    "hour": Span("hour", timedelta(minutes=2), 30, "%H:%M"),
    "day": Span("day", timedelta(hours=1), 24, "%H:00"),
    "week": Span("week", timedelta(hours=6), 28, "%d %b"),
}


@dataclass(frozen=True)
class Part:
    """One coloured piece: `y` from the top and `height` in a column, `x` and `width` in a row."""

    kind: str
    start: float
    size: float
    count: int


@dataclass(frozen=True)
class Column:
    label: str
    parts: list[Part]
    total: int


@dataclass(frozen=True)
class Columns:
    columns: list[Column]
    top: int  # what the full height stands for
    totals: dict[str, int]

    @property
    def width(self) -> float:
        return 100 / len(self.columns)

    @property
    def labelled(self) -> list[str]:
        """Labels for the axis: the first, the middle, the last."""
        count = len(self.columns)
        return [self.columns[index].label for index in (0, count // 2, count - 1)]


def outcomes(rows: Iterable[OutcomeCount], span: Span, until: datetime) -> Columns:
    counted: Counter[tuple[int, str]] = Counter()
    for row in rows:
        index = span.columns - 1 - int((until - row.bucket) / span.step - 1)
        counted[index, _OUTCOME_OF[OrderStatus(row.status)]] += row.orders
    sums = [sum(counted[index, kind] for kind in OUTCOMES) for index in range(span.columns)]
    top = _round_up(max(sums, default=0))
    columns = []
    for index in range(span.columns):
        begin = until - span.step * (span.columns - index)
        parts, height = [], 0.0
        for kind in OUTCOMES:
            if count := counted[index, kind]:
                size = 100 * count / top
                height += size
                parts.append(Part(kind, 100 - height, size, count))
        columns.append(Column(begin.astimezone(UTC).strftime(span.clock), parts, sums[index]))
    totals = {kind: sum(counted[index, kind] for index in range(span.columns)) for kind in OUTCOMES}
    return Columns(columns, top, totals)


def whole_step(now: datetime, step: timedelta) -> datetime:
    """The end of the step that is now under way, so that columns keep their place while time passes."""
    seconds = step.total_seconds()
    return datetime.fromtimestamp((now.timestamp() // seconds + 1) * seconds, UTC)


PAY_BOUNDS = [5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0]
_PAY_LABELS = ["< 5 s", "15 s", "30 s", "1 min", "2 min", "5 min", "15 min", "more"]


@dataclass(frozen=True)
class TimeToPay:
    columns: Columns
    median: float | None
    ninth: float | None


def pay_times(rows: Iterable[PayTimes]) -> TimeToPay:
    """`rows` for `PAY_BOUNDS`."""
    found = {row.bucket: row for row in rows}
    counts = [found[index].orders if index in found else 0 for index in range(len(_PAY_LABELS))]
    top = _round_up(max(counts))
    columns = []
    for label, count in zip(_PAY_LABELS, counts, strict=True):
        size = 100 * count / top
        columns.append(Column(label, [Part("kept", 100 - size, size, count)] if count else [], count))
    first = next(iter(found.values()), None)
    return TimeToPay(
        Columns(columns, top, {"kept": sum(counts)}),
        float(first.median) if first else None,
        float(first.ninth) if first else None,
    )


@dataclass(frozen=True)
class StockRow:
    sku: str
    name: str
    on_hand: int
    held: int
    sold: int
    parts: list[Part]


def stock(rows: Iterable[StockLevel]) -> list[StockRow]:
    """Each product's whole stock as one row: left, held for orders under way, sold."""
    charted = []
    for row in rows:
        counts = {"left": row.on_hand, "live": row.held, "sold": row.sold}
        whole, start, parts = max(sum(counts.values()), 1), 0.0, []
        for kind, count in counts.items():
            size = 100 * count / whole
            if count:
                parts.append(Part(kind, start, size, count))
            start += size
        charted.append(StockRow(row.sku, row.name, row.on_hand, row.held, row.sold, parts))
    return charted


def _round_up(count: int) -> int:
    """A full height people can read: 1, 2, 5, 10, 20, 50, …"""
    scale = 1
    while True:
        for factor in (1, 2, 5):
            if count <= factor * scale:
                return factor * scale
        scale *= 10
