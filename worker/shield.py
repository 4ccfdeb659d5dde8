"""Platform care, apart from the business: a cancelled workflow still ends its story.

"Cancel" in Temporal's UI cancels the main coroutine at whatever it awaits, such as a refund. So the story runs in a
task of its own, and the cancellation becomes the operator's wish to give the order up (docs/decisions/0006).
"""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from temporalio import workflow

from checkout.contracts import CheckoutResult
from checkout.orders import Reason
from worker.workflows.inbox import Inbox

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result", bound=CheckoutResult | None)


class HasInbox(Protocol):
    @property
    def inbox(self) -> Inbox: ...


Self = TypeVar("Self", bound=HasInbox)


def shielded(
    run: Callable[Concatenate[Self, Parameters], Coroutine[Any, Any, Result]],
) -> Callable[Concatenate[Self, Parameters], Coroutine[Any, Any, Result]]:
    """Run to the end, whatever is cancelled; then report the cancellation if the order ended because of it."""

    @functools.wraps(run)
    async def wrapper(self: Self, /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        story = asyncio.ensure_future(run(self, *args, **kwargs))
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

    return wrapper
