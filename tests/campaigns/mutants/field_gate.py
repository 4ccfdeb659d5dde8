"""Bugs planted in the gateway's defences against strangers, and in what it promises when it stops."""

from tests.campaigns.mutants.anchors import Code
from tests.campaigns.mutants.mutant import bug

FIELD_GATE = (
    bug(
        "head-is-bounded",
        Code("BoundedHttp.data_received", "self._untold > MAX_HEAD_BYTES", "False"),
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
    bug(
        "browsers-word-on-the-page",
        Code("Entrance._is_ours", "site in ('same-origin', 'none')", "True"),
        breaks="any page could make its visitors reserve stock",
        tests="test_other_sites_pages_may_not",
    ),
    bug(
        "browsers-word-comes-first",
        Code("Entrance._is_ours", "site is not None", "False"),
        breaks="behind a proxy that strips the referrer nobody could buy",
        tests="test_our_own_pages_may_post",
    ),
    bug(
        "names-in-punycode",
        Code("origin_of", "parts.netloc.decode()", "parts.host"),
        breaks="a shop with an umlaut in its name could sell nothing",
        tests="test_an_origin_is_written_as_browsers_write_it",
    ),
    bug(
        "waits-end-with-the-process",
        Code("Stopping.tell", "self._told.set()", "pass"),
        breaks="who waits for a session when the gateway stops would not hear that it has begun",
        tests="test_who_waits_for_a_session_hears_how_to_go_on",
    ),
    bug(
        "last-words-with-the-key",
        Code("Stopping.tell", "handler.reschedule(...)", "pass"),
        breaks="who buys while the gateway stops would lose the way back to what holds stock for him",
        tests="test_whoever_else_waits_is_told_to_come_again_with_the_key",
    ),
    bug(
        "sessions-end",
        Code("Sessions.find", "await has_ended(...)", "False"),
        breaks="a copy of a cookie would open the console after signing out",
        tests="test_whoever_signs_out_ends_the_session_on_every_gateway",
    ),
    bug(
        "sessions-grow-old",
        Code("Sessions.find", "max_age=_SECONDS", "max_age=None"),
        breaks="a session that nobody ends would last for ever",
        tests="test_only_a_genuine_cookie_younger_than_its_lifetime_is_one",
    ),
    bug(
        "guesses-are-counted",
        Code("Operators.admit", "self._guesses.count(client)", "pass"),
        breaks="the operator token could be guessed at as fast as the network allows",
        tests="test_guessing_is_slowed_at_every_door",
    ),
    bug(
        "told-once",
        Code("webhooks.tell", "request_id=once", "request_id=''"),
        breaks="whoever opens a page again and again would fill an order's history",
        tests=(
            "test_coming_back_again_and_again_is_noted_once_each_way",
            "test_an_event_sent_again_and_again_leaves_one_trace_in_the_history",
        ),
    ),
)
