"""A schedule is plain data: a list of (verb, who, how). Hypothesis draws it, shrinks it, and a blob replays it."""

import base64
import json
import zlib
from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from hypothesis import strategies as st

CUSTOMERS = 2
_MOST_DRAWN = 14

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
    "debit_succeeds": 1,
    "debit_fails": 1,
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
    "refund_part": 4,
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
    # the banks
    "slow_refunds": 2,
    "refund_succeeds": 2,
    "refund_fails": 2,
    "dispute": 3,
    "win": 2,
    "lose_dispute": 3,
}

# Scenes of one customer, drawn among the verbs: what chance alone would bring about a few times in ten thousand
# schedules, as a fault is met only by who comes to its operation next. (verb, variant); None is any variant.
_TO_OPERATION = (  # by variant, as `provider.OPERATIONS` has them; … is where the fault comes in
    (..., ("buy", 0)),
    (("buy", 0), ("pay", None), ..., ("deliver", 0), ("breathe", 1)),
    (("buy", 0), ..., ("cancel", None), ("breathe", 1)),
    (("buy", 0), ("mismatch", None), ..., ("deliver", 0), ("breathe", 1)),
)
_SOLD = (("buy", 2), ("pay", None), ("deliver", 0), ("breathe", 3))
SCENES: dict[str, tuple[tuple[str, int | None], ...]] = {
    "is given the money back": (("buy", 0), ("pay", None), ("deliver", 0), ("breathe", 3), ("refund", None)),
    "is given a part back": (*_SOLD, ("refund_part", None), ("breathe", 1)),
    "is given parts back by two hands": (*_SOLD, ("refund_part", 0), ("refund_elsewhere", 1), ("refund_part", 1)),
    "waits for a refund": (*_SOLD, ("slow_refunds", 0), ("refund_part", None), ("breathe", 3), ("refund_succeeds", 0)),
    "is given back what does not arrive": (*_SOLD, ("refund", 0), ("breathe", 3), ("refund_fails", None)),
    "waits for what does not arrive": (
        *_SOLD,
        ("slow_refunds", 0),
        ("refund_part", None),
        ("breathe", 3),
        ("refund_fails", 0),
    ),
    "disputes and is told no": (*_SOLD, ("dispute", None), ("deliver", 0), ("breathe", 1), ("win", None)),
    "disputes and is told yes": (*_SOLD, ("dispute", 0), ("lose_dispute", None), ("deliver", None)),
    "disputes what is given back in part": (*_SOLD, ("refund_part", None), ("dispute", 0), ("refund", None)),
    "pays by a debit": (("buy", 0), ("complete_unpaid", 0), ("deliver", 0), ("breathe", 1), ("debit_succeeds", 0)),
    "pays by a debit in vain": (("buy", 0), ("complete_unpaid", 0), ("deliver", 0), ("debit_fails", 0)),
    "clicks twice": (("buy", 0), ("pay_twice", None), ("deliver", 0)),
    "pays what was closed": (("buy", 0), ("leave", None), ("deliver", 0), ("breathe", 1), ("late_money", None)),
    "pays what is being closed": (("buy", 0), ("leave", None), ("late_money", None), ("deliver", 1)),
    "gets a session under the next key": (("sticky_500", None), ("buy", 0)),
} | {
    f"{fault} on the way to {variant}": tuple((fault, variant) if step is ... else step for step in way)
    for variant, way in enumerate(_TO_OPERATION)
    for fault in ("unreachable", "reply_lost", "refused")
    if (fault, variant) != ("reply_lost", 1)  # a question whose answer is lost was not asked
}


class Step(NamedTuple):
    """`who` is a customer, `how` a variant: which cart, which event, which operation. Too large wraps around."""

    verb: str
    who: int = 0
    how: int = 0


Schedule = Sequence[Step]


def schedules() -> st.SearchStrategy[list[Step]]:
    names = [name for name, weight in WEIGHTS.items() for _ in range(weight)] + list(SCENES)
    customers, variants = st.integers(0, CUSTOMERS - 1), st.integers(0, 3)
    drawn = st.builds(_steps, st.sampled_from(names), customers, variants)
    # Every schedule has somebody who buys first: without an order most steps have nothing to do.
    first = st.builds(Step, st.just("buy"), st.just(0), variants)
    return st.tuples(first, st.lists(drawn, min_size=2, max_size=_MOST_DRAWN)).map(
        lambda both: [both[0], *chain.from_iterable(both[1])]
    )


def _steps(name: str, who: int, how: int) -> list[Step]:
    scene = SCENES.get(name, ((name, None),))
    return [Step(verb, who, how if variant is None else variant) for verb, variant in scene]


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
