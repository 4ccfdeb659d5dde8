"""Bugs planted in the gateway's edge: who may ask, how much, how long, and what an answer says."""

from tests.campaigns.mutants.anchors import Code
from tests.campaigns.mutants.mutant import Mutant, bug

BUGS: tuple[Mutant, ...] = (
    bug(
        "the-audit-tells-of-every-order",
        Code("audit._audit_workflows", "RPCError", "ZeroDivisionError"),
        breaks="one order that cannot be asked about would leave the shop without an audit",
        tests="test_the_audit_tells_of_an_order_that_nobody_can_ask_about_and_of_the_others",
    ),
    bug(
        "audits-are-patient",
        Code("Gateway.__init__", "AUDIT_SECONDS + 5", "3.0"),
        breaks="in a large shop there would be no audit, ever",
        tests="test_an_audit_takes_the_time_it_needs",
    ),
    bug(
        "lookers-apart-from-buyers",
        Code("Gateway.__init__", "autocommit(browsing)", "autocommit(engine)"),
        breaks="customers would wait behind all who only look",
        tests="test_who_looks_never_keeps_a_customer_waiting",
    ),
    bug(
        "begun-checkouts-count",
        Code("Limits._admit", "held + len(begun.keys)", "held"),
        breaks="who presses Buy while no worker runs would get everything reserved as soon as one does",
        tests="test_checkouts_that_wait_for_a_worker_count_too",
    ),
    bug(
        "only-who-was-admitted-is-let-in-again",
        Code(
            "Limits._admit", "raise too_many(...)", "begun.keys[checkout_key] = time.monotonic()\nraise too_many(...)"
        ),
        breaks="a key sent twice at once would slip through the cap",
        tests="test_a_key_sent_many_times_at_once_does_not_slip_through",
    ),
    bug(
        "what-has-begun-goes-on-counting",
        Code("Limits.admitted", "admitted_at is not None and begun.keys.get(checkout_key) == admitted_at", "True"),
        breaks="pressing Buy again while Temporal is away would take a waiting checkout out of the count",
        tests="test_a_repeat_that_fails_does_not_uncount_what_waits_for_a_worker",
    ),
    bug(
        "what-a-repeat-has-begun-counts",
        Code("Limits.admitted", "begun.keys.get(checkout_key) == admitted_at", "True"),
        breaks="a double click whose first request fails would take a waiting checkout out of the count",
        tests="test_a_first_request_that_fails_does_not_uncount_what_its_repeat_has_begun",
    ),
    bug(
        "names-in-punycode",
        Code("origin_of", "parts.netloc.decode()", "parts.host"),
        breaks="a shop with an umlaut in its name could sell nothing",
        tests="test_an_origin_is_written_as_browsers_write_it",
    ),
    bug(
        "every-answer-says-its-key",
        Code("Edge.around", "headers.update(echoed(asked))", ""),
        breaks="a customer whose answer is lost could not go on with the order, and would make another",
        tests="test_every_answer_says_the_key_it_was_asked_with",
    ),
    bug(
        "body-cap",
        Code("MAX_BODY_BYTES", "64 * 1024", "64 * 1024 * 1024"),
        breaks="one request could fill the memory",
        tests="test_a_body_beyond_64_kib_is_not_read",
    ),
    bug(
        "same-origin",
        Code("Entrance._is_ours", "origin is not None and origin in (self.public, named)", "True"),
        breaks="any page could make its visitors reserve stock",
        tests="test_another_sites_page_cannot_buy",
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
        "bugs-are-counted",
        Code("LastWords.around", "response = await answer(...)", "raise"),
        breaks="the alert on 5xx would be silent while everything fails",
        tests="test_a_bug_is_counted_like_every_answer",
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
        "operator-token",
        Code("Operators.admit", "hmac.compare_digest(...)", "True"),
        breaks="anybody could refund",
        tests="test_only_the_operators_token_opens_the_operators_doors",
    ),
    bug(
        "guesses-are-counted",
        Code("Operators.admit", "self._guesses.count(client)", "pass"),
        breaks="the operator token could be guessed at as fast as the network allows",
        tests="test_guessing_is_slowed_at_every_door",
    ),
    bug(
        "webhook-503-at-first-contact",
        Code("problems._is_first_contact", "str(error).startswith('Failed client connect')", "False"),
        breaks="a gateway that starts while Temporal is away would answer 500",
        tests="test_an_event_while_temporal_is_away_is_503_so_that_it_is_sent_again",
    ),
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
)
