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

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class GivesUp(Protocol):
    def give_up(self) -> None:
        """Note that the operator wants this ended."""

    @property
    def was_given_up(self) -> bool:
        """Whether that wish was granted."""


Self = TypeVar("Self", bound=GivesUp)


def shielded(
    run: Callable[Concatenate[Self, Parameters], Coroutine[Any, Any, Result]],
) -> Callable[Concatenate[Self, Parameters], Coroutine[Any, Any, Result]]:
    """Run to the end, whatever is cancelled; then report the cancellation if it was granted."""

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
                self.give_up()
            except Exception:  # the story's own end: `result()` raises it again
                break
        result = story.result()
        if cancellation is not None and self.was_given_up:
            raise cancellation
        return result

    shield: Any = functools.update_wrapper(wrapper, run)  # Any: its type says less than this function's own
    return cast("Callable[Concatenate[Self, Parameters], Coroutine[Any, Any, Result]]", shield)
