"""A schedule is plain data: a list of (verb, who, how). Hypothesis draws it, shrinks it, and a blob replays it."""

import base64
import json
import zlib
from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import strategies as st

CUSTOMERS = 2
_MOST_STEPS = 14

# How often each verb is drawn, relative to the others.
WEIGHTS = {
    # customers
    "buy": 8,
    "repeat": 2,
    "other_cart": 1,
    "pay": 7,
    "pay_twice": 1,
    "decline": 1,
    "cancel": 3,
    "leave": 2,
    # webhooks
    "deliver": 6,
    "duplicate": 2,
    "lose": 2,
    "foreign": 1,
    "forged_order": 1,
    # clocks
    "breathe": 4,
    "to_deadline": 2,
    "past_deadline": 2,
    # operators
    "cancel_in_ui": 2,
    "terminate": 2,
    "lose_temporal": 1,
    "restock": 1,
    "refund": 4,
    "refund_elsewhere": 4,
    "sweep": 2,
    # the payment service
    "unreachable": 4,
    "reply_lost": 4,
    "refused": 2,
    "sticky_500": 2,
    "complete_unpaid": 1,
    "mismatch": 2,
    "late_money": 2,
    "pay_at_expiry": 2,
}


class Step(NamedTuple):
    """`who` is a customer, `how` a variant: which cart, which event, which operation. Too large wraps around."""

    verb: str
    who: int = 0
    how: int = 0


Schedule = Sequence[Step]


def schedules() -> st.SearchStrategy[list[Step]]:
    verbs = [verb for verb, weight in WEIGHTS.items() for _ in range(weight)]
    step = st.builds(Step, st.sampled_from(verbs), st.integers(0, CUSTOMERS - 1), st.integers(0, 3))
    # Every schedule begins with somebody who buys: without an order most steps have nothing to do.
    first = st.builds(Step, st.just("buy"), st.just(0), st.integers(0, 3))
    return st.tuples(first, st.lists(step, min_size=2, max_size=_MOST_STEPS)).map(lambda drawn: [drawn[0], *drawn[1]])


def to_blob(schedule: Schedule) -> str:
    return base64.urlsafe_b64encode(zlib.compress(json.dumps(schedule).encode(), 9)).decode()


def from_blob(blob: str) -> list[Step]:
    return [Step(*step) for step in json.loads(zlib.decompress(base64.urlsafe_b64decode(blob)))]


def told(schedule: Schedule) -> str:
    """One line a step, to read."""
    return "\n".join(
        f"  {number:2}. {step.verb} (customer {step.who}, variant {step.how})"
        for number, step in enumerate(schedule, 1)
    )
