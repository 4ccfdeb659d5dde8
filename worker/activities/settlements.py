"""Have an order or a session settled: what a workflow or the sweep finds and does not look after itself."""

from typing import Protocol

from temporalio import activity

from checkout.contracts import StartSettlementInput
from runtime.failpoints import Step, around


class StartsSettlements(Protocol):
    """`worker.starting.Starter`, which knows the workflows, as these know the activities."""

    async def settlement(self, request: StartSettlementInput) -> None: ...


class SettlementActivities:
    def __init__(self, starter: StartsSettlements) -> None:
        self._starter = starter

    @activity.defn
    @around(Step.HAND_ON_SESSION)
    async def start_settlement(self, request: StartSettlementInput) -> None:
        """Start it, or have the one that runs look again."""
        await self._starter.settlement(request)
