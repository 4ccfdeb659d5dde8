"""How often somebody may do something."""

import time
from collections import OrderedDict
from collections.abc import Callable

from api.problems import Problem

MAX_CLIENTS = 10_000  # remembered at a time; whoever was heard of longest ago is forgotten


class Rate:
    """A token bucket for each: `per_minute` at once, and as many again in each minute. 0 is no bound.

    `clock` counts seconds, from any time on.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute, self._clock = per_minute, clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def check(self, who: str, title: str) -> None:
        """Raises a 429 `Problem` when the bucket is empty."""
        tokens = self._tokens(who)
        if self._per_minute and tokens < 1:
            raise too_many(title, (1 - tokens) * 60 / self._per_minute)

    def count(self, who: str) -> None:
        """Take one out of the bucket, if there is one."""
        if not self._per_minute:
            return
        self._buckets[who] = (max(self._tokens(who) - 1, 0), self._clock())
        self._buckets.move_to_end(who)
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)

    def _tokens(self, who: str) -> float:
        now = self._clock()
        tokens, since = self._buckets.get(who, (float(self._per_minute), now))
        return min(self._per_minute, tokens + (now - since) * self._per_minute / 60)


def too_many(title: str, seconds: float) -> Problem:
    return Problem(429, "too-many-requests", title, headers={"Retry-After": str(max(1, round(seconds + 0.5)))})
