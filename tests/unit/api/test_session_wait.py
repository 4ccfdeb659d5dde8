"""When a workflow is asked for its session. A busy machine only ever adds to a wait: the best of a few tries counts."""

import asyncio
import time
from types import SimpleNamespace
from typing import Any, cast

from api.checkouts import LONGEST_PAUSE, Checkouts
from api.limits import Limits
from api.waiting import Stopping
from checkout.contracts import PaymentSessionView, SessionProgress
from db.engine import create_engine
from db.writing import WriteWatch
from runtime.settings import load_settings


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


async def wait(checkouts: Checkouts, after: float) -> Handle:
    handle = Handle(after)
    view = await checkouts._session(cast(Any, handle))
    assert view is not None
    assert view.progress is SessionProgress.READY
    return handle


def idle_checkouts() -> Checkouts:
    """Without PostgreSQL and Temporal: neither is asked while a handle answers."""
    engine, settings = create_engine("postgresql://nobody@localhost/nothing", pool_size=1), load_settings()
    nothing_to_refuse = cast(WriteWatch, SimpleNamespace(refusal=None))
    return Checkouts(engine, cast(Any, None), settings, Limits(settings, engine), Stopping(), nothing_to_refuse)


async def test_the_first_customer_is_asked_for_at_once() -> None:
    assert min([(await wait(idle_checkouts(), after=0)).asked_at[0] for _ in range(5)]) < 0.02


async def test_once_sessions_take_a_while_the_first_question_comes_when_one_is_on_its_way() -> None:
    checkouts = idle_checkouts()
    handles = [await wait(checkouts, after=0.2) for _ in range(10)]
    assert any(len(handle.asked_at) == 1 and 0.05 < handle.asked_at[0] < 0.2 for handle in handles[5:])


async def test_however_long_they_took_the_next_customer_hardly_waits_for_it() -> None:
    checkouts = idle_checkouts()
    checkouts._usual = 60.0
    first, *later = [(await wait(checkouts, after=0)).asked_at[0] for _ in range(10)]
    assert LONGEST_PAUSE * 0.9 < first < LONGEST_PAUSE * 10
    assert min(later[3:]) < 0.05
