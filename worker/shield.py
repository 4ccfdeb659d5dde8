"""Platform care, apart from the business: a cancelled workflow still ends its story.

"Cancel" in Temporal's UI cancels the main coroutine at whatever it awaits: in the middle of a reservation, a session
being opened, a refund. Stopping there would leave stock or money behind. So the story runs in a task of its own; the
cancellation becomes the operator's wish to give the order up, which the story then settles in its own order: the
session is closed at the provider before stock returns, and money that has come wins.
"""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from checkout.contracts import CheckoutResult
    from checkout.orders import Reason

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result", bound=CheckoutResult | None)


class CanGiveUp(Protocol):
    def give_up(self, reason: Reason) -> None:
        """Note that the story is to end, and why."""


class HasInbox(Protocol):
    @property
    def inbox(self) -> CanGiveUp: ...


Self = TypeVar("Self", bound=HasInbox)


def shielded(
    run: Callable[Concatenate[Self, Parameters], Coroutine[Any, Any, Result]],
) -> Callable[Concatenate[Self, Parameters], Coroutine[Any, Any, Result]]:
    """Run to the end, whatever is cancelled; then report the cancellation if the order ended because of it."""

    async def wrapper(self: Self, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        story = asyncio.ensure_future(run(self, *args, **kwargs))
        cancellation: asyncio.CancelledError | None = None
        while not story.done():
            try:
                await asyncio.shield(story)
            except asyncio.CancelledError as error:
                if story.cancelled():
                    raise
                cancellation = error
                self.inbox.give_up(Reason.OPERATOR)
            except Exception:  # the story's own end: `result()` raises it again
                break
        result = story.result()
        if cancellation is not None and result is not None and result.reason is Reason.OPERATOR:
            raise cancellation
        return result

    shield: Any = functools.update_wrapper(wrapper, run)  # Any: its type says less than this function's own
    return cast("Callable[Concatenate[Self, Parameters], Coroutine[Any, Any, Result]]", shield)
