"""The tutorial's workflow, in a file of its own for the sandbox's sake."""

from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from bench.peers.shop import Items, Steps
    from checkout.orders import Order

_SOON = timedelta(seconds=10)


@workflow.defn
class TutorialCheckout:
    def __init__(self) -> None:
        self._order: Order | None = None
        self._is_told = False

    @workflow.run
    async def run(self, key: str, items: Items, patience: float) -> str:
        order = await workflow.execute_activity_method(Steps.reserve, args=[key, items], start_to_close_timeout=_SOON)
        if order.reason is None:
            order = await workflow.execute_activity_method(Steps.open_session, order, start_to_close_timeout=_SOON)
        self._order = order
        if order.session is None:
            return str(order.status)
        try:
            await workflow.wait_condition(lambda: self._is_told, timeout=patience)
        except TimeoutError:
            return await workflow.execute_activity_method(Steps.release, order, start_to_close_timeout=_SOON)
        intent = await workflow.execute_activity_method(
            Steps.paid_intent, order.session.session_id, start_to_close_timeout=_SOON
        )
        if intent is None:
            return await workflow.execute_activity_method(Steps.release, order, start_to_close_timeout=_SOON)
        return await workflow.execute_activity_method(
            Steps.fulfil, args=[order.order_id, intent], start_to_close_timeout=_SOON
        )

    @workflow.query
    def order(self) -> Order | None:
        return self._order

    @workflow.signal
    def payment_event(self) -> None:
        self._is_told = True
