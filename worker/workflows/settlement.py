"""Settle what no running checkout looks after: a webhook for a closed or forgotten checkout, an orphaned order, the
money of a sale that is over."""

from typing import assert_never

from temporalio import workflow

from checkout.contracts import CheckoutResult, SettlementInput
from checkout.ids import SETTLEMENT_WORKFLOW
from checkout.orders import Order, OrderStatus, Reason
from checkout.sessions import ProviderSession
from checkout.settling import AwaitBank, Close, Fulfil, Nothing, Refund, Release, Wait, decide, is_sale_over
from worker import policies
from worker.workflows import actions
from worker.workflows.inbox import Inbox
from worker.workflows.shield import shielded


@workflow.defn(name=SETTLEMENT_WORKFLOW)
class SettlementWorkflow:
    @workflow.init
    def __init__(self, settlement: SettlementInput) -> None:
        self.inbox = Inbox(settlement, actions.hand_on)

    @workflow.run
    @shielded
    async def run(self, settlement: SettlementInput) -> CheckoutResult | None:
        """Take a live order to its end; give back what was paid for anything else; of a sale that is over, follow what
        becomes of its money. None: no session or payment of ours."""
        while True:
            self.inbox.has_news = False
            order = await self._look(settlement)
            # An event may have arrived during the look, and only this run will act on it: look again.
            if not self.inbox.has_news:
                return CheckoutResult.of(order) if order else None

    async def _look(self, settlement: SettlementInput) -> Order | None:
        if settlement.payment_intent_id is not None:
            return await self._follow_money(settlement.payment_intent_id)
        session = await actions.retrieve_if_known(settlement.session_id) if settlement.session_id else None
        order_id = settlement.order_id or (session.order_id if session else None)
        order = await actions.find_order(order_id) if order_id else None
        if session is not None and not (order and order.owns(session.session_id)):
            await self._give_back(session)
            return None
        return await self._settle(order, session) if order else None

    async def _settle(self, order: Order, session: ProviderSession | None) -> Order:
        """`session` is the order's own, if it has been looked at."""
        if order.status is OrderStatus.PENDING:
            order, session = await actions.open_session(order), None
        if order.status.is_live:
            return await self._see_through(order)
        if is_sale_over(order):
            return (await self._follow_money(order.payment_intent_id) if order.payment_intent_id else None) or order
        if session is None and order.session is not None:
            session = await actions.retrieve(order.session.session_id)
        return await self._follow(order, session)

    async def _see_through(self, order: Order) -> Order:
        """Take a live order to its end, as its checkout would have done."""
        self.inbox.ask_first()
        while not self.inbox.is_drained(order):
            await self.inbox.hand_on_others(order)
            closing = await self.inbox.wait(order)
            order, session = await actions.ask_provider(order, closing)
            order = await self._follow(order, session, closing)
        actions.hand_over(order)
        return order

    async def _follow(self, order: Order, session: ProviderSession | None, closing: Reason | None = None) -> Order:
        decision = decide(order, session, closing)
        match decision:
            case Fulfil(payment):
                order = await actions.fulfil(order, payment, session)
            case AwaitBank(payment):
                order = await actions.await_bank(order, payment)
                self.inbox.carry_on()
            case Release(reason):
                order = await actions.release(order, reason)
            case Refund(payment, reason):
                order = await actions.refund(order, payment, reason)
            case Close(session_id):
                return await self._follow(order, await actions.close_session(session_id), closing)
            case Wait() | Nothing():
                pass
            case _:
                assert_never(decision)
        await self.inbox.rest_if_refused(order, session, decision)
        return order

    async def _follow_money(self, payment_intent_id: str) -> Order | None:
        """Enter what became of it, and give back what is owed (again)."""
        followed = await actions.follow_money(payment_intent_id)
        while followed is not None and followed.is_early:
            if workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(SettlementInput(payment_intent_id=payment_intent_id))
            await workflow.sleep(policies.EARLY_PAUSE, summary="The order is being settled")
            followed = await actions.follow_money(payment_intent_id)
        if followed is None:
            return None
        for refund in followed.to_make:
            await actions.make_refund(refund)
        return followed.order

    async def _give_back(self, session: ProviderSession) -> None:
        """The session belongs to no order: close it if it is open; refund it, once, if it is paid."""
        match decide(None, session):
            case Close(session_id):
                await self._give_back(await actions.close_session(session_id))
            case Refund(payment, reason):
                await actions.give_back(payment, reason)

    @workflow.signal
    def payment_event(self, event_id: str = "", session_id: str = "", *_unexpected: object) -> None:
        """The provider has news of a session. What it is, the provider is asked."""
        self.inbox.hear(event_id, session_id)

    @workflow.signal
    def cancel(self, *_unexpected: object) -> None:
        """The customer gives up. Money that has already come wins."""
        self.inbox.give_up(Reason.CUSTOMER)
