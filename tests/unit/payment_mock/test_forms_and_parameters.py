"""Stripe's form encoding, and what a session may be made of."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payment_mock.domain import form
from payment_mock.domain.errors import StripeError
from payment_mock.domain.objects import session_of
from payment_mock.domain.params import NewRefund, NewSession

SMALLEST = (
    b"mode=payment&success_url=http://localhost/s&line_items[0][quantity]=2"
    b"&line_items[0][price_data][currency]=USD&line_items[0][price_data][unit_amount]=1000"
    b"&line_items[0][price_data][product_data][name]=Pen"
)


def test_brackets_nest_and_empty_brackets_append() -> None:
    params = form.parse(b"a[b][c]=1&a[b][d]=2&expand[]=x&expand[]=y&plain=caf%C3%A9")
    assert params == {"a": {"b": {"c": "1", "d": "2"}}, "expand": {"": ["x", "y"]}, "plain": "café"}
    assert NewRefund.of({"charge": "ch_1", "expand": params["expand"]}).expand == ["x", "y"]


def test_elements_come_in_the_order_of_their_numbers_not_of_their_letters() -> None:
    params = form.parse(b"&".join(b"expand[%d]=%d" % (number, number) for number in (10, 2, 0)))
    assert NewRefund.of({"charge": "ch_1", **params}).expand == ["0", "2", "10"]


@pytest.mark.parametrize(
    "body",
    [b"a=1&a[b]=2", b"a[b]=1&a=2", b"[a]=1", b"a[b=1", b"a" + b"[b]" * 10 + b"=1", b"a=%00", b"\xff=1", b"a=%ff"],
)
def test_what_is_no_such_form_is_refused(body: bytes) -> None:
    with pytest.raises(StripeError) as refusal:
        form.parse(body)
    assert refusal.value.status == 400


@settings(deadline=None, derandomize=True)  # a slow machine and a new random are no findings
@given(st.binary(max_size=200))
def test_no_body_makes_the_parser_fail_otherwise(body: bytes) -> None:
    try:
        session_of(NewSession.of(form.parse(body)))
    except StripeError as error:
        assert error.status == 400  # noqa: PT017


def test_a_fingerprint_is_of_the_parameters_and_the_path_not_of_their_order() -> None:
    assert form.fingerprint("/p", b"a=1&b=2") == form.fingerprint("/p", b"b=2&a=1")
    assert form.fingerprint("/p", b"a=1&b=2") != form.fingerprint("/p", b"a=1&b=3")
    assert form.fingerprint("/p", b"a=1") != form.fingerprint("/q", b"a=1")
    assert form.fingerprint("/p", b"a=1&a=2") != form.fingerprint("/p", b"a=2")


def test_the_smallest_session_is_complete() -> None:
    session = session_of(NewSession.of(form.parse(SMALLEST)), now=1000)
    assert (session.amount_total, session.currency, session.created, session.expires_at) == (2000, "usd", 1000, 87_400)
    assert session.payment_method_types == ("card", "us_bank_account")
    assert session.metadata == {}


@pytest.mark.parametrize(("expires_at", "accepted"), [(2799, False), (2800, True), (87_400, True), (87_401, False)])
def test_a_session_lives_from_30_minutes_to_24_hours_and_no_second_else(expires_at: int, accepted: bool) -> None:
    body = SMALLEST + b"&expires_at=%d" % expires_at
    if accepted:
        assert session_of(NewSession.of(form.parse(body)), now=1000).expires_at == expires_at
        return
    with pytest.raises(StripeError, match="expires_at"):
        session_of(NewSession.of(form.parse(body)), now=1000)


@pytest.mark.parametrize(
    ("more", "param"),
    [
        (b"&line_items[0][price]=price_1", "line_items[0][price]"),
        (b"&line_items[x][quantity]=1", "line_items"),
        (b"&line_items[1][quantity]=1", "line_items[1][price_data]"),
        (b"&line_items[0][quantity]=1.5", "line_items[0][quantity]"),
        (b"&line_items[0][quantity]=%D9%A1", "line_items[0][quantity]"),
        (b"&line_items[0][price_data][unit_amount]=99999999999999999999", "line_items[0][price_data][unit_amount]"),
        (b"&line_items[0][price_data][unit_amount]=99999999", "line_items"),
        (b"&line_items[0][price_data][currency]=dollar", "line_items[0][price_data][currency]"),
        (b"&metadata=x", "metadata"),
        (b"&expand[]=customer&mode=payment&colour=red", "colour"),
        (b"&cancel_url=http://", "cancel_url"),
        (b"&cancel_url=http://[::1", "cancel_url"),
        (b"&cancel_url=http://h:99999/", "cancel_url"),
        (b"&cancel_url=%20javascript:x", "cancel_url"),
    ],
)
def test_a_wrong_parameter_is_named(more: bytes, param: str) -> None:
    with pytest.raises(StripeError) as refusal:
        session_of(NewSession.of(form.parse(SMALLEST + more)))
    assert refusal.value.error["param"] == param


def test_empty_metadata_values_unset_their_keys() -> None:
    assert session_of(NewSession.of(form.parse(SMALLEST + b"&metadata[a]=1&metadata[b]="))).metadata == {"a": "1"}
