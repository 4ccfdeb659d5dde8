"""Run one activity as its policy says: locally at once, else regularly until it succeeds."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, is_cancelled_exception

from checkout.contracts import RefundInput
from worker.policies import FINAL_ERRORS, LONGEST_REFUSED_PAUSE, PROVIDER, QUICK, REFUSED_PAUSE, StepPolicy

Argument = TypeVar("Argument")
Result = TypeVar("Result")
Subject = TypeVar("Subject", str, RefundInput)  # a session's or payment's id, or what is given back

_ONCE = RetryPolicy(maximum_attempts=1)


class StepFailed(Exception):
    """A step ended with an error that asking again cannot change. `kind` is the error's class name."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind = kind


async def run_step(
    activity: Callable[[Any, Argument], Awaitable[Result]],
    argument: Argument,
    policy: StepPolicy,
    summary: str,
    *,
    before_waiting: Callable[[], object] | None = None,
) -> Result:
    """The activity's result. Raises `StepFailed` for one of `policies.FINAL_ERRORS`, and nothing else of its own.

    `before_waiting` is called when the quick try has failed: from now on it may take a while.
    """
    try:
        return await workflow.execute_local_activity_method(
            activity, argument, start_to_close_timeout=QUICK, retry_policy=_ONCE, summary=summary
        )
    except FailureError as error:
        _raise_if_final(error)
    if before_waiting is not None:
        before_waiting()
    try:
        return await workflow.execute_activity_method(
            activity,
            argument,
            start_to_close_timeout=policy.attempt,
            heartbeat_timeout=policy.heartbeat,
            retry_policy=policy.retry,
            summary=summary,
        )
    except ActivityError as error:
        _raise_if_final(error)
        raise


async def retry_until_done(
    activity: Callable[[Any, Subject], Awaitable[Result]],
    argument: Subject,
    summary: str,
    *,
    unless: str | None = None,
) -> Result:
    """A step at the provider that is owed: refused for good, it is tried again, ever more rarely, until somebody mends
    it. `unless` names the one error that is an answer: it is raised as `StepFailed`."""
    pause = REFUSED_PAUSE
    while True:
        try:
            return await run_step(activity, argument, PROVIDER, summary)
        except StepFailed as error:
            if error.kind == unless:
                raise
            if isinstance(argument, str):
                workflow.logger.error("%s: needs attention: %s: %s", summary, argument, error)
            else:
                told = "%s: needs attention: payment %s of order %s: %s"
                workflow.logger.error(told, summary, argument.payment_intent_id, argument.order_id, error)
        await workflow.sleep(pause, summary="Refused; waiting for somebody to mend it")
        pause = min(pause * 2, LONGEST_REFUSED_PAUSE)


def _raise_if_final(error: FailureError) -> None:
    if is_cancelled_exception(error):
        raise error
    # A regular activity's failure comes wrapped, a local one's bare.
    cause = error.cause if isinstance(error, ActivityError) else error
    if isinstance(cause, ApplicationError) and cause.type in FINAL_ERRORS:
        raise StepFailed(cause.type, cause.message) from error
