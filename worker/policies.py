"""Every timeout and retry of a step, with its name and its reason, in one place. Other limits stand beside what they
bound.

A step is tried first as a *local* activity, inside the workflow task; if that one try does not end well and soon, as a
regular one, retried by the server with backoff (docs/decisions/0004).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from temporalio.common import RetryPolicy

from checkout import errors

# A worker that dies is missed after this long: the workflow task, with the local activity in it, goes to another.
WORKFLOW_TASK_TIMEOUT = timedelta(seconds=3)
# How long a task waits for the worker that has the workflow cached before any other may take it.
STICKY_SCHEDULE_TO_START_TIMEOUT = timedelta(seconds=1.5)
# Different events a run takes before it continues as new, so that a flood of them never makes a history too long.
MAX_EVENTS_PER_RUN = 500
# All signals of them, repeats included: Temporal stores each.
MAX_SIGNALS_PER_RUN = 2_000

# No answer can change these; everything else is asked again.
_FINAL: Sequence[type[errors.CheckoutError]] = (
    errors.PaymentRefused,
    errors.PaymentUnknown,
    errors.PaymentStuck,
    *errors.WrongCart.__subclasses__(),
    errors.UnstorableData,
    errors.OrderNotFound,
    errors.CannotFulfil,
    errors.KeyReused,
    errors.NotRefundable,
    errors.RefundExceedsPayment,
    errors.RefundLinesExceedOrder,
)
FINAL_ERRORS = [error.__name__ for error in _FINAL]

# A step's local try. Above db.engine's ladder of limits (the client gives up on an answer after 3 s).
QUICK = timedelta(seconds=4)


@dataclass(frozen=True)
class StepPolicy:
    """How a step is tried after that: each attempt within `attempt`, and given up for dead when not heard of for
    `heartbeat`. The step itself is never given up: stock or money would be left in an unknown state."""

    attempt: timedelta
    longest_pause: timedelta
    heartbeat: timedelta | None = None

    @property
    def retry(self) -> RetryPolicy:
        return RetryPolicy(
            initial_interval=timedelta(seconds=0.2),
            maximum_interval=self.longest_pause,
            non_retryable_error_types=FINAL_ERRORS,
        )


DATABASE = StepPolicy(attempt=timedelta(seconds=5), longest_pause=timedelta(seconds=5))
# How long the opening of an order waits for its session; what takes longer is the next step's.
SESSION_AT_ONCE = timedelta(seconds=2)
# A transaction, and that.
OPEN_ORDER = StepPolicy(DATABASE.attempt + SESSION_AT_ONCE, DATABASE.longest_pause)
# Above the HTTP client's limit (6 s) and one transaction; what takes longer is asked again, and finds it done.
PROVIDER = StepPolicy(attempt=timedelta(seconds=10), longest_pause=timedelta(seconds=15))
# A payment is usually fulfilled in the step that asks about it; by itself only if that could not be at once.
ASK_AND_FULFIL, FULFIL = PROVIDER, DATABASE
# Refused, it reads the provider's list of sessions, which is long in a busy shop; it tells that it is alive.
OPEN_SESSION = StepPolicy(timedelta(minutes=10), PROVIDER.longest_pause, heartbeat=PROVIDER.attempt)
# Starting a workflow from a step: one call to Temporal, which the SDK repeats by itself for a while.
TEMPORAL = StepPolicy(attempt=timedelta(seconds=10), longest_pause=timedelta(seconds=5))

# The provider refuses to speak about a session of ours (a wrong key, say): an operator must look; until then the
# order keeps its stock, and the provider is asked again this often.
REFUSED_PAUSE = timedelta(seconds=30)
# A refund that is refused is tried again for as long as it takes, ever more rarely.
LONGEST_REFUSED_PAUSE = timedelta(hours=1)
# An order that is about to take note of a payment is waited for, in steps of this.
EARLY_PAUSE = timedelta(seconds=10)

# How long steps that are under way may take to end when the worker stops. Above the attempt of each but one: a worker
# that opens a session for longer leaves that to the next attempt, as one that dies does.
DRAIN = PROVIDER.attempt + timedelta(seconds=1)

SWEEP_ATTEMPT = timedelta(seconds=20)
SWEEP_RETRY = RetryPolicy(maximum_attempts=3)
# No sweep begins while one runs, so none may wait for workers that never come, such as those of a version (worker.app)
# that was switched off.
SWEEP_LIMIT = timedelta(minutes=2)
