"""Failpoints: named places at every boundary of gateway and worker, where a test can hurt.

Inert unless `CHECKOUT_FAILPOINTS` names a function (`module:function`), which `CHECKOUT_ENV=production` refuses to
start with: it is called at each place that is passed, and may wait, raise or end the process. The campaigns have one
(`tests/campaigns/firing.py`), and know what each step covers and whether anything is left uncovered (`registry.py`).
"""

import functools
import pkgutil
from collections.abc import Awaitable, Callable, Coroutine
from enum import StrEnum
from typing import Any, ParamSpec, TypeVar

from checkout.errors import SettingsError

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Call = Callable[Parameters, Coroutine[Any, Any, Result]]


class Boundary(StrEnum):
    BEFORE = "before"
    """Nothing has happened yet."""
    BEFORE_COMMIT = "before_commit"
    """Of a transaction: every statement has run, locks are held, and nothing is visible to others."""
    AFTER = "after"
    """It happened, for ever; whoever asked for it does not know."""


class Step(StrEnum):
    """What can be interrupted."""

    # The gateway.
    BUY = "buy"
    START_CHECKOUT = "start_checkout"
    TAKE_EVENT = "take_event"
    SIGNAL_PAYMENT = "signal_payment"
    START_SETTLEMENT = "start_settlement"
    ASK_TO_CANCEL = "ask_to_cancel"
    START_REFUND = "start_refund"
    CHANGE_STOCK = "change_stock"
    CHANGE_CATALOGUE = "change_catalogue"
    # The worker and its database.
    OPEN_ORDER = "open_order"
    FIND_ORDER = "find_order"
    RECORD_SESSION = "record_session"
    PROCESS_ORDER = "process_order"
    FULFIL_ORDER = "fulfil_order"
    RELEASE_ORDER = "release_order"
    RECORD_DEBT = "record_debt"
    REQUEST_REFUND = "request_refund"
    RECORD_REFUND = "record_refund"
    GIVE_UP_REFUND = "give_up_refund"
    RECORD_MONEY = "record_money"
    DISPATCH_ORDER = "dispatch_order"
    # The worker and the payment service.
    CREATE_AT_PROVIDER = "create_at_provider"
    FIND_AT_PROVIDER = "find_at_provider"
    RETRIEVE_AT_PROVIDER = "retrieve_at_provider"
    EXPIRE_AT_PROVIDER = "expire_at_provider"
    REFUND_AT_PROVIDER = "refund_at_provider"
    LOOK_AT_PAYMENT = "look_at_payment"
    # The worker's sweep and Temporal.
    SWEEP = "sweep"
    HAND_TO_SETTLEMENT = "hand_to_settlement"
    FOLLOW_PAYMENT = "follow_payment"
    HAND_ON_SESSION = "hand_on_session"


# One switch a process: a dependency passed to every boundary would be the more dangerous thing.
_hurt: Callable[[Step, Boundary], Awaitable[None]] | None = None


def enable(function: str | None) -> None:
    """Called once by a process's composition root with the setting. Without one, failpoints stay inert. Raises
    `SettingsError` for what cannot be imported."""
    global _hurt
    try:
        _hurt = pkgutil.resolve_name(function) if function else None
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingsError(f"Wrong settings. CHECKOUT_FAILPOINTS: {error}") from error


async def failpoint(step: Step, boundary: Boundary) -> None:
    """Nothing at all, unless this process was started with failpoints."""
    if _hurt is not None:
        await _hurt(step, boundary)


def around(step: Step) -> Callable[[Call[Parameters, Result]], Call[Parameters, Result]]:
    """A decorator: the two boundaries of a call."""

    def decorate(call: Call[Parameters, Result]) -> Call[Parameters, Result]:
        @functools.wraps(call)
        async def wrapper(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
            await failpoint(step, Boundary.BEFORE)
            result = await call(*args, **kwargs)
            await failpoint(step, Boundary.AFTER)
            return result

        return wrapper

    return decorate
