"""Bugs planted in pages, event streams and who waits on them."""

from tests.campaigns.mutants.anchors import Code
from tests.campaigns.mutants.mutant import Mutant, bug

BUGS: tuple[Mutant, ...] = (
    bug(
        "null-pid-is-the-gateway",
        Code("api.web.console.processes._child", "isinstance(pid, int)", "True"),
        breaks="an operator who kills a part that does not run would kill the gateway",
        tests="test_a_part_that_does_not_run_is_not_taken_for_the_gateway_itself",
    ),
    bug(
        "coming-back-is-limited",
        Code("shop.pages._back", "gateway.limits.take(gateway.limits.client_of(request))", "pass"),
        breaks="anybody could fill a checkout with signals until Temporal takes none",
        tests="test_who_comes_back_again_and_again_does_not_wake_the_checkout_each_time",
    ),
    bug(
        "followers-begin-anew",
        Code("_have_all_look", "self._tell_followers(None)", ""),
        breaks="after PostgreSQL was away, an operator's stream would go on with a gap in it that nobody sees",
        tests="test_who_follows_hears_of_each_order_and_begins_anew_after_a_gap",
    ),
    bug(
        "streams-read-again-after-a-gap",
        Code("_have_all_look", "news.set()", "pass"),
        breaks="an open order page would never show what happened while PostgreSQL was away",
        tests="test_an_open_stream_tells_what_happened_while_nobody_listened",
    ),
    bug(
        "a-demoted-server-is-not-listened-to",
        Code("OrderEventHub._listen_once", "await is_read_only(driver)", "False"),
        breaks="after a failover no order page would move by itself",
        tests="test_a_server_that_was_demoted_is_not_listened_to",
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
        "one-read-for-all-who-ask",
        Code("Shared.__call__", "key not in self._next", "True"),
        breaks="every tab would read the catalogue for itself",
        tests="test_many_who_ask_at_once_share_a_read_that_began_after_they_asked",
    ),
)
