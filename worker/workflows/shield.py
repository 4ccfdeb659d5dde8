"""Platform care, apart from the business: a cancelled workflow still ends its story.

"Cancel" in Temporal's UI cancels the main coroutine at whatever it awaits, such as a refund. So the story runs in a
task of its own, and the cancellation becomes the operator's wish to give the order up (docs/decisions/0006).
"""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

from temporalio import workflow

from checkout.contracts import CheckoutResult
from checkout.orders import Reason

Run = TypeVar("Run", bound=Callable[..., Coroutine[Any, Any, CheckoutResult | None]])


def shielded(run: Run) -> Run:
    """Run to the end, whatever is cancelled; then report the cancellation if the order ended because of it. Wants a
    workflow that has an `inbox`."""

    @functools.wraps(run)
    async def wrapper(self: Any, *args: Any) -> CheckoutResult | None:
        story = asyncio.ensure_future(run(self, *args))
        cancellation: asyncio.CancelledError | None = None
        while not story.done():
            try:
                await workflow.wait([story])  # the story goes on when who waits for it is cancelled
            except asyncio.CancelledError as error:
                cancellation = error
                self.inbox.give_up(Reason.OPERATOR)
        result = story.result()
        if cancellation is not None and result is not None and result.reason is Reason.OPERATOR:
            raise cancellation
        return result

    return cast(Run, wrapper)
