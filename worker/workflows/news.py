"""What a workflow hears while it looks after an order: events of the provider, wishes to give up."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from checkout.contracts import Reason
    from checkout.ids import is_provider_id
    from worker import policies

# Histories begun without it were deaf to an event after the five hundredth, to a second one of another session, and to
# one of another session in a checkout's last moment.
EVERY_EVENT_COUNTS = "every-event-counts"
IDS_ARE_CHECKED = "ids-are-checked"
REPEATS_ARE_COUNTED = "repeats-are-counted"


class News:
    """Heard and not yet acted upon. Nothing of it is believed: it is a reason to ask the provider."""

    def __init__(self) -> None:
        self._event_ids: set[str] = set()
        self._signals = 0
        self._is_flooded = False
        self._sessions_heard_of: set[str] = set()
        self._handed_on: set[str] = set()
        self._has_news = False
        self._closing: Reason | None = None

    # Anyone with access to Temporal can send a signal with anything in it; the SDK fails the workflow task for ever if
    # a handler cannot take it. So both handlers take whatever comes, and look at it themselves.

    @workflow.signal
    def payment_event(self, event_id: str = "", session_id: str = "", *_unexpected: object) -> None:
        """The provider has news of a session. What it is, the provider is asked. Repeats are dropped."""
        self._signals += 1
        # Temporal takes no more than 10,000 signals a run (`history.maximumSignalsPerExecution`), repeats and all.
        if self._signals >= policies.MAX_SIGNALS_PER_RUN and workflow.patched(REPEATS_ARE_COUNTED):
            self._is_flooded = self._has_news = True
        if not isinstance(event_id, str) or event_id in self._event_ids:
            return
        if len(self._event_ids) < policies.MAX_EVENTS_PER_RUN:
            self._event_ids.add(event_id)
        elif not workflow.patched(EVERY_EVENT_COUNTS):
            return
        self._has_news = True
        if not (isinstance(session_id, str) and session_id):
            return
        # It would become a workflow's id: one that Temporal does not take would fail this workflow's task for ever.
        if not is_provider_id(session_id) and workflow.patched(IDS_ARE_CHECKED):
            return
        self._sessions_heard_of.add(session_id)
        # It was unpaid when it was handed on, say, and is paid now.
        if session_id in self._handed_on and workflow.patched(EVERY_EVENT_COUNTS):
            self._handed_on.discard(session_id)

    @workflow.signal
    def cancel(self, *_unexpected: object) -> None:
        """The customer gives up. Money that has already come wins."""
        self._closing = self._closing or Reason.CUSTOMER

    def give_up(self) -> None:
        """The operator gives up (see `worker.shield`)."""
        self._closing = self._closing or Reason.OPERATOR

    @property
    def _is_run_long_enough(self) -> bool:
        """A flood of events must not make the history too long. A wish to cancel is settled first, not forgotten."""
        is_full = self._is_flooded or len(self._event_ids) >= policies.MAX_EVENTS_PER_RUN
        is_long = is_full or workflow.info().is_continue_as_new_suggested()
        return is_long and self._closing in (None, Reason.TIMEOUT)
