"""The tutorial's workflow and activities, in a file of their own for the sandbox's sake."""

from datetime import timedelta

from temporalio import activity, workflow

with workflow.unsafe.imports_passed_through():
    from bench.peers.shop import Steps
    from checkout.orders import Order

_SOON = timedelta(seconds=10)


class Activities:
    def __init__(self, steps: Steps, patience: float) -> None:
        self._steps, self._patience = steps, patience

    @activity.defn
    async def reserve(self, key: str, items: list[tuple[str, int]]) -> Order:
        return await self._steps.reserve(key, items, activity.info().scheduled_time, self._patience)

    @activity.defn
    async def open_session(self, order: Order) -> Order:
        return await self._steps.open_session(order)

    @activity.defn
    async def paid_intent(self, session_id: str) -> str | None:
        return await self._steps.paid_intent(session_id)

    @activity.defn
    async def fulfil(self, order_id: str, payment_intent_id: str) -> str:
        return await self._steps.fulfil(order_id, payment_intent_id)

    @activity.defn
    async def release(self, order: Order) -> str:
        return await self._steps.release(order)


@workflow.defn
class TutorialCheckout:
    def __init__(self) -> None:
        self._order: Order | None = None
        self._is_told = False

    @workflow.run
    async def run(self, key: str, items: list[tuple[str, int]], patience: float) -> str:
        order = await workflow.execute_activity_method(
            Activities.reserve, args=[key, items], start_to_close_timeout=_SOON
        )
        if order.reason is None:
            order = await workflow.execute_activity_method(Activities.open_session, order, start_to_close_timeout=_SOON)
        self._order = order
        if order.session is None:
            return str(order.status)
        try:
            await workflow.wait_condition(lambda: self._is_told, timeout=patience)
        except TimeoutError:
            return await workflow.execute_activity_method(Activities.release, order, start_to_close_timeout=_SOON)
        intent = await workflow.execute_activity_method(
            Activities.paid_intent, order.session.session_id, start_to_close_timeout=_SOON
        )
        if intent is None:
            return await workflow.execute_activity_method(Activities.release, order, start_to_close_timeout=_SOON)
        return await workflow.execute_activity_method(
            Activities.fulfil, args=[order.order_id, intent], start_to_close_timeout=_SOON
        )

    @workflow.query
    def order(self) -> Order | None:
        return self._order

    @workflow.signal
    def payment_event(self) -> None:
        self._is_told = True
