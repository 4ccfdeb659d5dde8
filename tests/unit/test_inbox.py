"""What a workflow has heard, without a Temporal: what is kept of it, and in which order it is acted upon."""

from dataclasses import replace
from datetime import UTC, datetime

from checkout.contracts import SettlementInput
from checkout.orders import Order, OrderStatus
from checkout.sessions import PaymentSession
from worker.workflows.inbox import Inbox

AT = datetime(2026, 1, 1, tzinfo=UTC)
OWN = PaymentSession("cs_own", "https://pay")
ORDER = Order("ord_1", "key", "f" * 64, OrderStatus.CANCELLED, 1000, "usd", AT, AT, session=OWN)


async def test_sessions_are_handed_on_once_and_in_an_order_that_every_process_repeats() -> None:
    """The iteration of a set is another one in each process. A workflow that moves to another worker in the midst of
    it would hand one session on twice and forget another, and no replay test sees it: arguments are not compared."""
    handed_on: list[str] = []

    async def hand_on(session_id: str) -> None:
        handed_on.append(session_id)

    inbox = Inbox(SettlementInput(order_id=ORDER.order_id), hand_on)
    others = [f"cs_{number}" for number in range(12)]
    for session_id in (OWN.session_id, *reversed(others)):
        inbox.hear(f"evt_{session_id}", session_id)
    assert not inbox.is_drained(ORDER)
    await inbox.hand_on_others(ORDER)
    assert handed_on == sorted(others)
    inbox.has_news = False
    assert inbox.is_drained(ORDER)


async def test_a_fulfilled_order_is_not_drained_before_the_other_sessions_are_handed_on() -> None:
    """Of its own session no news matters any more; of another one, nobody else will hear."""

    async def hand_on(_: str) -> None:
        pass

    fulfilled = replace(ORDER, status=OrderStatus.FULFILLED)
    inbox = Inbox(SettlementInput(order_id=ORDER.order_id), hand_on)
    inbox.hear("evt_own", OWN.session_id)
    assert inbox.is_drained(fulfilled)
    inbox.hear("evt_other", "cs_other")
    assert not inbox.is_drained(fulfilled)
    await inbox.hand_on_others(fulfilled)
    assert inbox.is_drained(fulfilled)
