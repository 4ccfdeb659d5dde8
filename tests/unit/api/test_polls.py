"""When a workflow is asked for its session."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any, cast

from api.polls import LONGEST_PAUSE, SessionPolls
from api.waiting import Stopping, Usual
from checkout.contracts import PaymentSessionView, SessionProgress
from db.writing import WriteWatch


class Handle:
    """Of a checkout that has its session `after` seconds."""

    def __init__(self, after: float) -> None:
        self.id, self._after, self._began = str(id(self)), after, time.monotonic()
        self.asked_at: list[float] = []

    async def query(self, *_: Any, **__: Any) -> PaymentSessionView:
        passed = time.monotonic() - self._began
        self.asked_at.append(passed)
        if passed > 0.02:  # its first task is under way: the answer comes at its end
            await asyncio.sleep(max(self._after - passed, 0))
        ready = time.monotonic() - self._began >= self._after
        pending = cast(Any, object())
        return PaymentSessionView(SessionProgress.READY if ready else SessionProgress.OPENING, "", "", pending)


async def wait(polls: SessionPolls, after: float) -> Handle:
    handle = Handle(after)
    view = await polls.wait(cast(Any, handle))
    assert view is not None
    assert view.progress is SessionProgress.READY
    return handle


def session_polls() -> SessionPolls:
    nothing_to_refuse = cast(WriteWatch, SimpleNamespace(refusal=None))
    return SessionPolls(cast(Any, None), session_wait=5, stopping=Stopping(), writing=nothing_to_refuse)


async def test_the_first_customer_is_asked_for_at_once() -> None:
    assert (await wait(session_polls(), after=0)).asked_at[0] < 0.02


async def test_once_sessions_take_a_while_the_first_question_comes_when_one_is_on_its_way() -> None:
    polls = session_polls()
    for _ in range(8):
        handle = await wait(polls, after=0.2)
    assert len(handle.asked_at) == 1
    assert 0.05 < handle.asked_at[0] < 0.2


async def test_however_long_they_took_the_next_customer_hardly_waits_for_it() -> None:
    usual = Usual()
    for _ in range(50):
        usual.took(60)
    polls = session_polls()
    polls._usual = usual
    asked_at = [(await wait(polls, after=0)).asked_at[0] for _ in range(5)]
    assert asked_at[0] < LONGEST_PAUSE + 0.1
    assert asked_at[-1] < 0.05
