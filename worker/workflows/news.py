"""What a workflow hears while it looks after an order: events of the provider, wishes to give up."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from checkout.contracts import Reason
    from worker import policies


class News:
    """Heard and not yet acted upon. Nothing of it is believed: it is a reason to ask the provider."""

    def __init__(self) -> None:
        self._event_ids: set[str] = set()
        self._sessions_heard_of: set[str] = set()
        self._handed_on: set[str] = set()
        self._has_news = False
        self._closing: Reason | None = None

    # Anyone with access to Temporal can send a signal with anything in it; the SDK fails the workflow task for ever if
    # a handler cannot take it. So both handlers take whatever comes, and look at it themselves.

    @workflow.signal
    def payment_event(self, event_id: str = "", session_id: str = "", *_unexpected: object) -> None:
        """The provider has news of a session. What it is, the provider is asked. Repeats are dropped."""
        if not isinstance(event_id, str) or event_id in self._event_ids:
            return
        is_counted = len(self._event_ids) < policies.MAX_EVENTS_PER_RUN
        if is_counted:
            self._event_ids.add(event_id)
            self._has_news = True
        if isinstance(session_id, str) and session_id:
            self._hear_of(session_id, is_counted)

    def _hear_of(self, session_id: str, is_counted: bool) -> None:
        """Of the order's own session the next run asks anyway; of any other only this event tells, also in a flood and
        also when an earlier one was acted upon (it was open then, and is paid now)."""
        is_new = session_id not in self._sessions_heard_of
        if is_counted and is_new:
            self._sessions_heard_of.add(session_id)
        elif (is_new or session_id in self._handed_on) and workflow.patched("every-session-is-heard-of"):
            self._sessions_heard_of.add(session_id)
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
        is_long = len(self._event_ids) >= policies.MAX_EVENTS_PER_RUN or workflow.info().is_continue_as_new_suggested()
        return is_long and self._closing in (None, Reason.TIMEOUT)
