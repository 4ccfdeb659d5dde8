"""From single measurements to the numbers of the report. Durations are seconds."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile: the smallest value that at least `percent` % do not exceed.

    Always a value that was measured, never one between two (so the p99 of 50 values is the largest). NaN of none.
    """
    if not 0 < percent <= 100:
        raise ValueError("percent must be above 0 and at most 100")
    if not values:
        return math.nan
    return sorted(values)[math.ceil(len(values) * percent / 100) - 1]


@dataclass(frozen=True)
class Latency:
    count: int
    p50: float
    p90: float
    p99: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Latency":
        largest = max(values) if values else math.nan
        return cls(len(values), percentile(values, 50), percentile(values, 90), percentile(values, 99), largest)


@dataclass
class Tally:
    """What one run collects. Instants are `time.perf_counter()` seconds."""

    answered: list[float] = field(default_factory=list)
    """Buy until the gateway's 200, for each checkout."""
    fulfilled: list[float] = field(default_factory=list)
    """Buy until fulfilled, for each checkout that was."""
    errors: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    """Answers that meant "not yet": the same key was sent again."""
    keys: list[str] = field(default_factory=list)
    order_ids: list[str] = field(default_factory=list)
    first_buy: float = math.nan
    last_fulfilled: float = math.nan

    @property
    def seconds(self) -> float:
        """From the first Buy to the last fulfilment: everything paid for lies within."""
        return self.last_fulfilled - self.first_buy

    @property
    def throughput(self) -> float:
        """Paid and fulfilled checkouts a second."""
        return len(self.fulfilled) / self.seconds if self.fulfilled and self.seconds > 0 else 0.0
