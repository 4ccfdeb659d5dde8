"""What a workflow has heard and not yet acted upon: events of the provider, wishes to give up.

Nothing of it is believed: it is a reason to ask the provider. Anyone with access to Temporal can signal anything, and a
handler that cannot take it fails the workflow task for ever; so the inbox takes whatever comes and looks at it itself.
"""

import contextlib
from collections.abc import Awaitable, Callable
from datetime import timedelta

from temporalio import workflow

from checkout.contracts import CheckoutInput, SettlementInput
from checkout.ids import is_provider_id
from checkout.orders import Order, Reason
from checkout.sessions import ProviderSession
from checkout.settling import Decision, Refund
from worker import policies


class Inbox:
    """`subject` is what the workflow was given, and is given again when its run continues as new; `hand_on` has a
    settlement look at a session that is not the order's."""

    def __init__(self, subject: CheckoutInput | SettlementInput, hand_on: Callable[[str], Awaitable[None]]) -> None:
        self._subject, self._hand_on = subject, hand_on
        self._event_ids: set[str] = set()
        self._signals = 0
        self._sessions: set[str] = set()  # heard of, and not handed on since
        self.has_news = False
        self.closing: Reason | None = None
        """Why the order is to end, once somebody or the deadline wants it to."""

    def hear(self, event_id: object = "", session_id: object = "") -> None:
        """The provider has news of a session. Repeats of an event are dropped, but for a flood of them."""
        self._signals += 1
        # Each counts, repeats and all: Temporal takes no more than 10,000 signals a run.
        if self._signals >= policies.MAX_SIGNALS_PER_RUN:
            self.has_news = True
        if not isinstance(event_id, str) or event_id in self._event_ids:
            return
        if len(self._event_ids) < policies.MAX_EVENTS_PER_RUN:
            self._event_ids.add(event_id)
        self.has_news = True
        # It becomes part of a workflow's id: one that Temporal does not take would fail this workflow's task for ever.
        if isinstance(session_id, str) and is_provider_id(session_id):
            self._sessions.add(session_id)  # again: it was unpaid when it was handed on, say, and is paid now

    def give_up(self, reason: Reason) -> None:
        """Somebody wants the order to end. The first reason stays; money that has already come wins over all."""
        self.closing = self.closing or reason

    def carry_on(self) -> None:
        """The order does not end now, whoever wanted it to: its money is under way."""
        self.closing = None

    def ask_first(self) -> None:
        """Ask the provider before waiting: events may have been missed."""
        self.has_news = True

    def is_drained(self, order: Order) -> bool:
        """Whether the order is decided, and every event that was taken has been acted upon, since only this workflow
        will act on them."""
        if order.status.is_live or self._others(order):
            return False
        return order.status.is_kept or order.session is None or not self.has_news

    async def wait(self, order: Order) -> Reason | None:
        """Wait until there is news, somebody gives the order up, or its deadline passes. Returns why it is to end, if
        it is. A run that has heard too much continues as new."""
        if order.status.is_live and self._is_full():
            workflow.continue_as_new(self._subject)
        remaining = order.deadline - workflow.now()
        if order.status.is_live and self.closing is None and remaining > timedelta(0):
            with contextlib.suppress(TimeoutError):
                await workflow.wait_condition(
                    lambda: self.has_news or self.closing is not None,
                    timeout=remaining,
                    timeout_summary="Payment deadline",
                )
        self.has_news = False
        if order.status.is_live and workflow.now() >= order.deadline:
            self.give_up(Reason.TIMEOUT)
        return self.closing

    async def rest_if_refused(self, order: Order, session: ProviderSession | None, decision: Decision) -> None:
        """If the provider refuses to speak of a live order, or to give its money back, an operator must look: wait a
        while, then ask again, with or without news."""
        was_refused = session is None or isinstance(decision, Refund)
        if order.status.is_live and was_refused:
            await workflow.sleep(policies.REFUSED_PAUSE, summary="The payment service refuses to answer")
            self.has_news = True

    def _others(self, order: Order) -> list[str]:
        """Sessions that carry the order's key and are not its own, in an order that every replay repeats."""
        return sorted(session for session in self._sessions if not order.owns(session))

    async def hand_on_others(self, order: Order) -> None:
        """Have each other session that was heard of looked at by a settlement of its own."""
        while others := self._others(order):
            self._sessions.remove(others[0])
            await self._hand_on(others[0])

    def _is_full(self) -> bool:
        """A flood of events must not make the history too long. A wish to give up is settled first, not forgotten."""
        is_flooded = (
            self._signals >= policies.MAX_SIGNALS_PER_RUN or len(self._event_ids) >= policies.MAX_EVENTS_PER_RUN
        )
        is_long = is_flooded or workflow.info().is_continue_as_new_suggested()
        return is_long and self.closing in (None, Reason.TIMEOUT)
