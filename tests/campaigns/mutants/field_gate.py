"""Bugs planted in the gateway's defences against strangers, and in what it promises when it stops."""

from tests.campaigns.mutants.anchors import Code
from tests.campaigns.mutants.mutant import bug

FIELD_GATE = (
    bug(
        "head-is-bounded",
        Code("BoundedHttp.data_received", "self._fields + self._untold > MAX_HEAD_BYTES", "False"),
        breaks="one connection could fill the memory with a header that never ends",
        tests="test_a_head_without_end_is_refused_and_hurts_nobody",
    ),
    bug(
        "requests-are-sent-in-time",
        Code("BoundedHttp._expire", "self._refuse(...)", "pass"),
        breaks="half-sent requests would hold every file descriptor for ever",
        tests="test_a_request_that_is_never_sent_whole_is_given_up",
    ),
    bug(
        "pipeline-is-bounded",
        Code("BoundedHttp.on_headers_complete", "len(self.pipeline) >= MAX_PIPELINED", "False"),
        breaks="requests sent ahead on one connection would fill the memory",
        tests="test_requests_sent_ahead_are_bounded",
    ),
)
