"""What the payment service tells, judged without any server: signatures, and what an event is about."""

import json
import logging
import time
from collections.abc import Callable

import pytest

from api.hints import MoneyEvent, SessionEvent
from api.metrics import EVENTS
from api.problems import Problem
from api.webhooks import TOLERANCE, parse, sparing, verify
from runtime.logs import SparingLogger
from tests.support.rig import signature

BODY = b'{"id": "evt_1"}'


def test_a_signature_of_either_secret_in_rotation_is_taken() -> None:
    for secret in ("old", "new"):
        verify(BODY, signature(BODY, secret), ["new", "old"])


@pytest.mark.parametrize("kind", ["none", "no signature", "zeros", "not ASCII", "another secret", "another body"])
def test_a_signature_that_does_not_verify_is_refused(kind: str) -> None:
    header = {
        "none": "",
        "no signature": "t=1",
        "zeros": f"t={int(time.time())},v1={'0' * 64}",
        "not ASCII": f"t={time.time():.0f},v1=\xfe",
        "another secret": signature(BODY, "wrong"),
        "another body": signature(BODY + b" ", "right"),
    }[kind]
    with pytest.raises(Problem) as refusal:
        verify(BODY, header, ["right"])
    assert refusal.value.status == 400


@pytest.mark.parametrize("seconds", [-TOLERANCE - 5, TOLERANCE + 5, -86_400, 86_400])
def test_a_signature_too_old_or_of_the_future_is_refused(seconds: float) -> None:
    with pytest.raises(Problem):
        verify(BODY, signature(BODY, "right", time.time() + seconds), ["right"])


@pytest.mark.parametrize(
    ("sign", "reason", "told"),
    [
        (lambda: "", "unsigned", "no Stripe-Signature"),
        (lambda: "v1=00", "unsigned", "without a time"),
        (lambda: signature(BODY, "another"), "mismatch", "STRIPE_WEBHOOK_SECRET"),
        (lambda: signature(BODY, "right", time.time() - 86_400), "too_old", "signed 864"),
        (lambda: signature(BODY, "right", time.time() + 86_400), "in_the_future", "s in the future"),
    ],
)
def test_of_a_refused_event_the_log_and_a_counter_tell_the_reason(
    caplog: pytest.LogCaptureFixture, sign: Callable[[], str], reason: str, told: str
) -> None:
    sparing.silent_until.clear()
    counted = EVENTS.labels(reason)._value.get()
    with pytest.raises(Problem) as refusal:
        verify(BODY, sign(), ["right"])
    assert (refusal.value.code, refusal.value.title) == ("bad-signature", "The signature does not verify")
    assert EVENTS.labels(reason)._value.get() == counted + 1
    assert [told in record.getMessage() for record in caplog.records] == [True]
    if reason in ("too_old", "in_the_future"):
        assert f"clock says {time.strftime('%Y-%m-%d', time.gmtime())}" in caplog.text


def test_the_time_that_counts_is_the_one_that_was_signed() -> None:
    """Of a recorded event, with a fresh time beside its own."""
    old = signature(BODY, "right", time.time() - 86_400)
    for header in (f" t={time.time():.0f},{old}", f"t={time.time():.0f},{old}", f"{old},t={time.time():.0f}"):
        with pytest.raises(Problem):
            verify(BODY, header, ["right"])


def test_a_flood_of_refusals_is_no_flood_of_lines(caplog: pytest.LogCaptureFixture) -> None:
    clock = iter([0.0, 1.0, 2.0, 2.0, 59.0, 60.0, 121.0])
    lines = SparingLogger(logging.getLogger("api"), pause=60, clock=lambda: next(clock))
    for kind in ("mismatch", "mismatch", "mismatch", "too old", "mismatch", "mismatch", "mismatch"):
        lines.log(logging.WARNING, kind, "Refused: %s", kind)
    assert [record.getMessage() for record in caplog.records] == [
        "Refused: mismatch",
        "Refused: too old",
        "Refused: mismatch (3 more like it since the last such line)",
        "Refused: mismatch",
    ]


THIN = {
    "id": "evt_test_65R",
    "object": "v2.core.event",
    "type": "v2.core.account.updated",
    "related_object": {"id": "acct_1", "type": "v2.core.account", "url": "/v2/core/accounts/acct_1"},
}


@pytest.mark.parametrize(
    "event",
    [
        THIN,
        {"type": "customer.created"},
        {"type": "payment_intent.succeeded", "id": 7, "data": None},
        {"type": "x\ny"},
        {"type": "charge.refunded", "id": "e", "data": {"object": {"refunded": False}}},
    ],
)
def test_a_signed_event_that_is_not_needed_is_taken_with_a_line(
    caplog: pytest.LogCaptureFixture, event: dict[str, object]
) -> None:
    """Stripe switches an endpoint off that refuses for long."""
    sparing.silent_until.clear()
    with caplog.at_level(logging.INFO):
        assert parse(json.dumps(event).encode()) is None
    assert [repr(event["type"]) in record.getMessage() for record in caplog.records] == [True]


@pytest.mark.parametrize("seconds", [-TOLERANCE + 5, TOLERANCE - 5])
def test_a_signature_within_the_tolerance_is_taken(seconds: float) -> None:
    verify(BODY, signature(BODY, "right", time.time() + seconds), ["right"])


def test_an_event_whose_key_is_another_workflows_name_reaches_no_workflow() -> None:
    for key in ("settle:cs_1", "dispatch/ord_1", "sweep/run", 7, None):
        subject = {"id": "cs_1", "client_reference_id": key}
        event = parse(json.dumps({"id": "e", "type": "checkout.session.expired", "data": {"object": subject}}).encode())
        assert isinstance(event, SessionEvent)
        assert event.checkout_key is None


@pytest.mark.parametrize(
    ("is_live", "livemode", "taken"),
    [(True, False, False), (False, True, False), (True, True, True), (None, True, True), (False, "yes", True)],
)
def test_an_event_of_the_other_mode_is_let_go_with_a_line(
    caplog: pytest.LogCaptureFixture, is_live: bool | None, livemode: object, taken: bool
) -> None:
    sparing.silent_until.clear()
    event = {"id": "e", "livemode": livemode, "type": "checkout.session.completed", "data": {"object": {"id": "cs_1"}}}
    assert (parse(json.dumps(event).encode(), is_live) is not None) is taken
    assert ("another mode" in caplog.text) is not taken


MONEY = (
    "charge.refunded",
    "charge.refund.updated",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
)


@pytest.mark.parametrize("kind", MONEY)
@pytest.mark.parametrize("intent", ["pi_1", {"id": "pi_1", "object": "payment_intent"}])
def test_what_becomes_of_a_payment_is_known_by_its_intent_expanded_or_not(kind: str, intent: object) -> None:
    event = parse(_money(kind, payment_intent=intent))
    assert isinstance(event, MoneyEvent)
    assert (event.event_id, event.type, event.payment_intent_id) == ("e", kind, "pi_1")


@pytest.mark.parametrize("subject", [{}, {"payment_intent": None}])
def test_a_charge_without_an_intent_is_none_of_ours(subject: dict[str, object]) -> None:
    """Stripe's older APIs charge without one; we never did."""
    assert parse(_money("charge.refunded", **subject)) is None


@pytest.mark.parametrize("intent", [7, "a/b", "", {"id": 7}, ["pi_1"]])
def test_an_intent_that_can_be_none_is_no_event(intent: object) -> None:
    with pytest.raises(Problem):
        parse(_money("refund.updated", payment_intent=intent))


def _money(kind: str, **subject: object) -> bytes:
    return json.dumps({"id": "e", "type": kind, "data": {"object": {"id": "x_1", **subject}}}).encode()
