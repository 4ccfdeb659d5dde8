"""The encrypting codec: what it hides, what it refuses, and that keys can change while workflows run."""

import base64
import os

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload
from temporalio.converter import ActivitySerializationContext, WorkflowSerializationContext
from temporalio.exceptions import ApplicationError

from checkout.contracts import CheckoutInput
from checkout.errors import PayloadKeyMissing, SettingsError
from checkout.ids import CHECKOUT_WORKFLOW
from checkout.orders import CartLine
from runtime.checks import PayloadKey, parse_payload_keys
from runtime.codec import UNREADABLE, EncryptingCodec
from runtime.connection import data_converter
from runtime.settings import Settings, load_settings

OLD, NEW = PayloadKey("2026-01", os.urandom(32)), PayloadKey("2026-11", os.urandom(32))
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'"ada@example.com"')
CHECKOUT = CheckoutInput("k", [CartLine("pen", 1)], "f" * 64, 900.0, email="ada@example.com")


def text_of(*keys: PayloadKey) -> str:
    return ",".join(f"{key.id}:{base64.b64encode(key.secret).decode()}" for key in keys)


def settings(**more: str) -> Settings:
    return load_settings(**({"CHECKOUT_PAYLOAD_KEYS": text_of(NEW)} | more))


def in_workflow(codec: EncryptingCodec, workflow_id: str) -> EncryptingCodec:
    return codec.with_context(WorkflowSerializationContext("default", workflow_id))


async def test_nothing_of_a_payload_is_readable_and_it_comes_back_whole() -> None:
    converter = data_converter(settings())
    (payload,) = await converter.encode([CHECKOUT])
    assert b"ada@example.com" not in payload.SerializeToString()
    assert b"json" not in payload.SerializeToString()
    assert await converter.decode([payload], [CheckoutInput]) == [CHECKOUT]


async def test_error_messages_and_stack_traces_are_encrypted_too() -> None:
    from temporalio.api.failure.v1 import Failure

    converter = data_converter(settings())
    failure = Failure()
    try:
        raise ApplicationError("no mail for ada@example.com", "detail of ada@example.com", type="Bounced")
    except ApplicationError as error:
        await converter.encode_failure(error, failure)
    assert b"ada@example.com" not in failure.SerializeToString()
    assert failure.application_failure_info.type == "Bounced", "retry policies match on the type"
    decoded = await converter.decode_failure(failure)
    assert isinstance(decoded, ApplicationError)
    assert (decoded.message, decoded.details) == ("no mail for ada@example.com", ("detail of ada@example.com",))


async def test_without_keys_histories_stay_readable() -> None:
    (payload,) = await data_converter(load_settings()).encode([CHECKOUT])
    assert b"ada@example.com" in payload.data
    assert data_converter().payload_codec is None


async def test_payloads_written_before_the_codec_was_switched_on_are_read() -> None:
    (plain,) = await data_converter().encode([CHECKOUT])
    assert await data_converter(settings()).decode([plain], [CheckoutInput]) == [CHECKOUT]


async def test_plaintext_can_be_refused_once_none_is_left() -> None:
    converter = data_converter(settings(CHECKOUT_PAYLOAD_PLAINTEXT="refuse"))
    (plain,) = await data_converter().encode([CHECKOUT])
    with pytest.raises(KeyError, match=UNREADABLE.decode()):
        await converter.decode([plain], [CheckoutInput])
    assert await converter.decode(await converter.encode([CHECKOUT]), [CheckoutInput]) == [CHECKOUT]


async def test_a_rotated_key_still_decrypts_and_the_first_encrypts() -> None:
    before, during, after = EncryptingCodec([OLD]), EncryptingCodec([NEW, OLD]), EncryptingCodec([NEW])
    assert during.decrypt(before.encrypt(PLAIN)) == PLAIN
    assert during.encrypt(PLAIN).metadata["encryption-key-id"] == b"2026-11"
    assert after.decrypt(during.encrypt(PLAIN)) == PLAIN


async def test_a_missing_key_is_an_error_that_names_the_setting_and_can_be_retried() -> None:
    with pytest.raises(PayloadKeyMissing, match=r"CHECKOUT_PAYLOAD_KEYS holds no key '2026-01'"):
        EncryptingCodec([NEW]).decrypt(EncryptingCodec([OLD]).encrypt(PLAIN))


async def test_the_same_text_never_looks_the_same_twice() -> None:
    codec = EncryptingCodec([NEW])
    seen = {codec.encrypt(PLAIN).data for _ in range(200)}
    assert len({data[:12] for data in seen}) == 200, "a nonce was used twice"


async def test_another_key_under_the_same_id_reads_nothing() -> None:
    impostor = PayloadKey(NEW.id, os.urandom(32))
    assert EncryptingCodec([impostor]).decrypt(EncryptingCodec([NEW]).encrypt(PLAIN)).metadata["encoding"] == UNREADABLE


@hypothesis_settings(deadline=None, derandomize=True)
@given(st.data())
def test_whatever_is_changed_in_a_payload_it_is_refused_and_nothing_raises(data: st.DataObject) -> None:
    codec = EncryptingCodec([NEW, OLD])
    sealed = codec.encrypt(PLAIN)
    kind = data.draw(st.sampled_from(["bit", "cut", "key", "workflow", "junk"]))
    if kind == "bit":
        at = data.draw(st.integers(0, len(sealed.data) * 8 - 1))
        changed = bytearray(sealed.data)
        changed[at // 8] ^= 1 << at % 8
        sealed.data = bytes(changed)
    elif kind == "cut":
        sealed.data = sealed.data[: data.draw(st.integers(0, len(sealed.data) - 1))]
    elif kind == "key":
        sealed.metadata["encryption-key-id"] = OLD.id.encode()
    elif kind == "workflow":
        sealed.metadata["encryption-workflow"] = data.draw(st.binary(min_size=1, max_size=20))
    else:
        sealed.data = data.draw(st.binary(max_size=200))
    assert codec.decrypt(sealed).metadata["encoding"] == UNREADABLE


async def test_a_payload_cannot_be_moved_into_another_workflow() -> None:
    codec = EncryptingCodec([NEW])
    stolen = in_workflow(codec, "paid-checkout").encrypt(PLAIN)
    assert in_workflow(codec, "paid-checkout").decrypt(stolen) == PLAIN
    assert in_workflow(codec, "unpaid-checkout").decrypt(stolen).metadata["encoding"] == UNREADABLE
    assert codec.decrypt(stolen) == PLAIN, "Temporal's UI asks without naming the workflow"


async def test_an_activity_reads_what_its_workflow_wrote() -> None:
    codec = EncryptingCodec([NEW])
    activity = ActivitySerializationContext("default", "1", "open_order", "checkout", "k-1", CHECKOUT_WORKFLOW, True)
    assert codec.with_context(activity).decrypt(in_workflow(codec, "k-1").encrypt(PLAIN)) == PLAIN


async def test_a_scheduled_workflow_reads_what_its_schedule_wrote() -> None:
    codec = EncryptingCodec([NEW])
    sealed = in_workflow(codec, "sweep/run").encrypt(PLAIN)
    assert in_workflow(codec, "sweep/run-2026-11-22T12:00:00Z").decrypt(sealed) == PLAIN
    assert in_workflow(codec, "sweep/run-2").decrypt(sealed).metadata["encoding"] == UNREADABLE


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("no-colon", "id:base64key"),
        ("id with space:" + "A" * 44, "id:base64key"),
        ("a:!!!!", "not base64"),
        ("a:" + base64.b64encode(os.urandom(16)).decode(), "128 bits, it must have 256"),
        ("a:" + base64.b64encode(bytes(32)).decode(), "not random"),
        (text_of(OLD, PayloadKey(OLD.id, NEW.secret)), "two keys with one id"),
        (text_of(OLD, PayloadKey("other", OLD.secret)), "twice under two ids"),
    ],
    ids=["no colon", "bad id", "no base64", "too short", "not random", "one id twice", "one key twice"],
)
def test_a_wrong_key_is_refused_at_start_by_the_variables_name_and_never_shown(value: str, complaint: str) -> None:
    with pytest.raises(SettingsError, match=complaint) as refusal:
        load_settings(CHECKOUT_PAYLOAD_KEYS=value)
    assert "CHECKOUT_PAYLOAD_KEYS" in str(refusal.value)
    encoded = value.partition(":")[2]
    assert not encoded or encoded not in str(refusal.value)


def test_keys_are_read_in_both_base64_alphabets_and_shown_in_neither() -> None:
    url_safe = base64.urlsafe_b64encode(NEW.secret).decode().rstrip("=")
    assert parse_payload_keys(f" {NEW.id}:{url_safe} , ") == (NEW,)
    assert parse_payload_keys(text_of(NEW)) == (NEW,)
    shown = repr(load_settings(CHECKOUT_PAYLOAD_KEYS=text_of(NEW))) + repr(NEW)
    assert repr(NEW.secret)[2:20] not in shown
    assert text_of(NEW) not in shown
