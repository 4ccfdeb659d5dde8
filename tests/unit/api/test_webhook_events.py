"""What the payment service tells, judged without any server: signatures, and what an event is about."""

import json
import time

import pytest

from api.problems import Problem
from api.webhooks import TOLERANCE, RefundEvent, SessionEvent, parse, verify
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


@pytest.mark.parametrize("seconds", [-TOLERANCE + 5, TOLERANCE - 5])
def test_a_signature_within_the_tolerance_is_taken(seconds: float) -> None:
    verify(BODY, signature(BODY, "right", time.time() + seconds), ["right"])


def test_an_event_whose_key_is_another_workflows_name_reaches_no_workflow() -> None:
    for key in ("settle:cs_1", "dispatch/ord_1", "sweep/run", 7, None):
        subject = {"id": "cs_1", "client_reference_id": key}
        event = parse(json.dumps({"id": "e", "type": "checkout.session.expired", "data": {"object": subject}}).encode())
        assert isinstance(event, SessionEvent)
        assert event.checkout_key is None


@pytest.mark.parametrize("metadata", [None, {}, {"order_id": None}, {"order_id": "a/b"}, {"order_id": ["x"]}])
def test_a_refund_of_a_charge_that_names_no_order_of_ours_is_let_go(metadata: object) -> None:
    assert parse(_refund(refunded=True, metadata=metadata)) is None


def test_of_a_part_of_the_money_no_note_is_taken() -> None:
    metadata = {"order_id": "ord_1"}
    assert parse(_refund(refunded=True, metadata=metadata)) == RefundEvent("e", "charge.refunded", "ord_1")
    assert parse(_refund(refunded=False, metadata=metadata)) is None


def _refund(**charge: object) -> bytes:
    return json.dumps({"id": "e", "type": "charge.refunded", "data": {"object": {"id": "ch_1", **charge}}}).encode()
