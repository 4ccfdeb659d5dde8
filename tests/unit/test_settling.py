"""The rule of settling, cell by cell: every kind of order, every word of the provider, to be closed or not."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product

import pytest

from checkout.orders import Order, OrderStatus, Reason
from checkout.sessions import PaymentSession, ProviderSession, SessionStatus
from checkout.settling import (
    AwaitBank,
    Close,
    Decision,
    Fulfil,
    Nothing,
    Refund,
    Release,
    Wait,
    decide,
    is_no_news,
)
from tests.unit.docs.markdown import document

AT = datetime(2026, 1, 1, tzinfo=UTC)
ORDER = Order(
    "ord_1",
    "key",
    "f" * 64,
    OrderStatus.AWAITING_PAYMENT,
    1000,
    "usd",
    AT,
    AT,
    session=PaymentSession("cs_1", "https://p"),
)
OPEN = ProviderSession("cs_1", SessionStatus.OPEN, False, 1000, "usd", "ord_1")
PAID = replace(OPEN, status=SessionStatus.COMPLETE, paid=True, payment_intent_id="pi_1")

LIVE = {"pending": OrderStatus.PENDING, "awaiting payment": OrderStatus.AWAITING_PAYMENT}
PROCESSING = {"payment processing": OrderStatus.PAYMENT_PROCESSING}
KEPT = {"fulfilled": OrderStatus.FULFILLED, "dispatched": OrderStatus.DISPATCHED}
ENDED = {"cancelled": OrderStatus.CANCELLED, "rejected": OrderStatus.REJECTED}
REFUNDED = {"refunded": OrderStatus.REFUNDED}
STATUSES = LIVE | PROCESSING | KEPT | REFUNDED | ENDED
OTHERS = {name: f"{name}, another session's" for name in STATUSES}
WITHOUT = {"pending": "pending, without a session", "rejected": "rejected, without a session"}
ORDERS: dict[str, Order | None] = {
    **{name: replace(ORDER, status=status) for name, status in STATUSES.items()},
    **{OTHERS[name]: replace(ORDER, status=STATUSES[name], session=PaymentSession("cs_2", "")) for name in OTHERS},
    **{WITHOUT[name]: replace(ORDER, status=STATUSES[name], session=None) for name in WITHOUT},
    "none": None,
}
NOT_ITS_OWN = {
    "live": [WITHOUT["pending"], *(OTHERS[name] for name in LIVE | PROCESSING)],
    "ended": [WITHOUT["rejected"], *(OTHERS[name] for name in KEPT | REFUNDED | ENDED)],
}
PAID_OTHERWISE = {
    "paid less": replace(PAID, amount_total=999),
    "paid more": replace(PAID, amount_total=1001),
    "paid in another currency": replace(PAID, currency="jpy"),
    "paid for another order": replace(PAID, order_id="ord_2"),
    "paid for no order": replace(PAID, order_id=None),
}
NO_MONEY = {
    "paid otherwise, no money moved": replace(PAID, amount_total=0, payment_intent_id=None),
    "paid as agreed, no money moved": replace(PAID, payment_intent_id=None),
}
SESSIONS: dict[str, ProviderSession | None] = {
    "paid": PAID,
    **PAID_OTHERWISE,
    **NO_MONEY,
    "open": OPEN,
    "expired": replace(OPEN, status=SessionStatus.EXPIRED),
    "complete, unpaid": replace(OPEN, status=SessionStatus.COMPLETE, payment_intent_id="pi_1"),
    "complete, failed": replace(OPEN, status=SessionStatus.COMPLETE, payment_intent_id="pi_1", has_failed=True),
    "complete, free": replace(OPEN, status=SessionStatus.COMPLETE, amount_total=0, is_free=True),
    "no answer": None,
}
CLOSINGS = (None, Reason.TIMEOUT, Reason.CUSTOMER, Reason.OPERATOR)


def expected(order: str, session: str, closing: Reason | None) -> Decision:
    """Written down a second time, by what it is for and not by how it is found out."""
    if order in KEPT | REFUNDED:
        return Nothing()
    if order in LIVE | PROCESSING:
        under_way = {None: Wait(), Reason.TIMEOUT: Release(Reason.TIMEOUT)}
        return {
            "paid": Fulfil("pi_1"),
            **dict.fromkeys(PAID_OTHERWISE, Refund("pi_1", Reason.PAYMENT_MISMATCH)),
            "paid otherwise, no money moved": Release(Reason.PAYMENT_MISMATCH),
            "paid as agreed, no money moved": Fulfil(None),
            "open": Close("cs_1") if closing else Wait(),
            "expired": Release(closing or Reason.CUSTOMER),
            "complete, unpaid": AwaitBank("pi_1") if order in LIVE else under_way.get(closing, AwaitBank("pi_1")),
            "complete, failed": Release(Reason.PAYMENT_FAILED),
            "complete, free": Release(Reason.PAYMENT_MISMATCH),
            "no answer": Wait(),
        }[session]
    if session == "no answer":
        return Wait() if order in NOT_ITS_OWN["live"] else Nothing()
    if session == "open":
        return Close("cs_1")
    is_money = session.startswith("paid") and not session.endswith("no money moved")
    return Refund("pi_1", Reason.LATE_PAYMENT) if is_money else Nothing()


@pytest.mark.parametrize(("order", "session", "closing"), list(product(ORDERS, SESSIONS, CLOSINGS)))
def test_what_follows_from_the_providers_word(order: str, session: str, closing: Reason | None) -> None:
    assert decide(ORDERS[order], SESSIONS[session], closing) == expected(order, session, closing)


GROUPS = {
    "live": [*LIVE, *PROCESSING],
    "pending or awaiting payment": [*LIVE],
    "payment processing": [*PROCESSING],
    "fulfilled, dispatched or refunded": [*KEPT, "refunded"],
    "cancelled or rejected; or none of ours": [*ENDED, "none"],
    "live, and the session is not its own": NOT_ITS_OWN["live"],
    "ended, and the session is not its own": NOT_ITS_OWN["ended"],
}
_ELSE = ["expired", "complete, unpaid", "complete, failed", "complete, free", *NO_MONEY]
SAYINGS = {
    "paid as agreed": ["paid", "paid as agreed, no money moved"],
    "paid, but not as agreed": [*PAID_OTHERWISE],
    "the same, and no money moved": ["paid otherwise, no money moved"],
    "open": ["open"],
    "expired": ["expired"],
    "complete, its payment under way": ["complete, unpaid"],
    "complete, its payment failed": ["complete, failed"],
    "complete, and cost nothing": ["complete, free"],
    "no answer, or a refusal": ["no answer"],
    "paid": ["paid", *PAID_OTHERWISE],
    "anything else": _ELSE,
    "anything else, or no answer": [*_ELSE, "no answer"],
    "anything": [*SESSIONS],
}


WHY = {
    "its time is over": [Reason.TIMEOUT],
    "given up": [Reason.CUSTOMER, Reason.OPERATOR],
}


def test_the_architectures_table_is_the_rule() -> None:
    """Each row says what `decide` does, and the rows leave no cell out."""
    seen = set()
    for group, saying, closing, then in (row for row in document("ARCHITECTURE.md").rows if row[0] in GROUPS):
        closings = {"no": [None], "yes": CLOSINGS[1:], "": CLOSINGS, **WHY}[closing]
        for order, session, reason in product(GROUPS[group], SAYINGS[saying], closings):
            assert told(decide(ORDERS[order], SESSIONS[session], reason), reason) == then, (order, session, reason)
            seen.add((order, session, reason))
    assert seen == set(product(ORDERS, SESSIONS, CLOSINGS))


def told(decision: Decision, closing: Reason | None) -> str:
    match decision:
        case Release(reason) if closing is not None and reason is closing:
            return "release, with the reason for closing"
        case Release(reason) | Refund(_, reason):
            return f"{type(decision).__name__.lower()}, `{reason}`"
    return re.sub("(?<!^)([A-Z])", r" \1", type(decision).__name__).lower()


NO_NEWS = {
    "checkout.session.completed": {*KEPT},
    "checkout.session.async_payment_succeeded": {*KEPT},
    "checkout.session.async_payment_failed": {*KEPT},
    "checkout.session.expired": {"cancelled", "refunded"},
}


@pytest.mark.parametrize(("order", "event"), list(product(STATUSES, NO_NEWS)))
def test_of_which_events_an_order_has_taken_note(order: str, event: str) -> None:
    assert is_no_news(replace(ORDER, status=STATUSES[order]), event) is (order in NO_NEWS[event])
