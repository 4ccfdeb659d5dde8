"""Signatures, addresses, amounts, identifiers, rules, settings and migrations."""

import time

import pytest
import stripe

from payment_mock.database import FILES, HEAD
from payment_mock.domain.errors import StripeError
from payment_mock.domain.money import money
from payment_mock.domain.objects import Session, id_of_its, session_id
from payment_mock.faults import Match, Rule
from payment_mock.outbox import signature_header
from payment_mock.routes.guide import check_webhook_url
from payment_mock.routes.hosted import fill_in
from payment_mock.settings import WrongSettings, load_settings

BODY = b'{"object": "event", "name": "caf\xc3\xa9"}'


@pytest.mark.parametrize("secret", ["whsec_new", "whsec_old"])
def test_every_secret_in_rotation_signs_the_exact_bytes(secret: str) -> None:
    header = signature_header(BODY, [b"whsec_new", b"whsec_old"])
    assert stripe.WebhookSignature.verify_header(BODY, header, secret, tolerance=300)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.WebhookSignature.verify_header(BODY + b" ", header, secret, tolerance=300)


def test_a_signature_carries_the_time_it_is_told() -> None:
    header = signature_header(BODY, [b"s"], int(time.time()) - 301)
    with pytest.raises(stripe.SignatureVerificationError, match="tolerance"):
        stripe.WebhookSignature.verify_header(BODY, header, "s", tolerance=300)


@pytest.mark.parametrize(
    "url", ["http://localhost:1/x", "http://127.0.0.1/x", "https://[::1]/x", "https://shop.example/hook"]
)
def test_webhooks_go_to_this_machine_or_to_the_configured_endpoint(url: str) -> None:
    assert check_webhook_url(url, "https://shop.example/hook") == url


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/other",
        "http://169.254.169.254/latest",
        "http://localhost.evil.example/",
        "http://127.0.0.1@evil.example/",
        "gopher://localhost/",
        "http://local host/",
    ],
)
def test_webhooks_go_nowhere_else(url: str) -> None:
    with pytest.raises(StripeError):
        check_webhook_url(url, "https://shop.example/hook")


def test_the_placeholder_in_an_address_becomes_the_session() -> None:
    assert fill_in("http://s/?a={CHECKOUT_SESSION_ID}&b={CHECKOUT_SESSION_ID}", "cs_1") == "http://s/?a=cs_1&b=cs_1"


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [(2450, "usd", "$24.50"), (5, "eur", "€0.05"), (1234567, "sek", "12,345.67 SEK"), (500, "jpy", "¥500")],
)
def test_amounts_are_shown_in_their_currencys_way(amount: int, currency: str, shown: str) -> None:
    assert money(amount, currency) == shown


def test_ids_are_unguessable_and_a_sessions_intent_and_charge_are_its_own() -> None:
    sessions = {session_id() for _ in range(1000)}
    assert len(sessions) == 1000
    assert all(len(session) >= 40 for session in sessions)
    assert len({id_of_its("pi_3", session) for session in sessions}) == 1000
    assert len({id_of_its("ch_3", session) for session in sessions}) == 1000


@pytest.mark.parametrize(
    ("pay_by", "deadline"), [("500", 500), ("1500", 1000), ("x", 1000), ("nan", 1000), ("inf", 1000)]
)
def test_the_deadline_is_the_earlier_limit(pay_by: str, deadline: int) -> None:
    session = Session("cs", 100, "usd", (), "http://s", None, 0, 1000, metadata={"pay_by": pay_by})
    assert session.deadline == deadline


def test_a_rule_fits_when_all_it_names_is_equal() -> None:
    rule = Rule(id=1, fired=0, point="webhook", action="lose", match=Match(order_id="o", event_type="t"))
    fitting = {"event_type": "t", "session_id": "any", "client_reference_id": None, "order_id": "o"}
    assert rule.fits(fitting)
    assert not rule.fits(fitting | {"event_type": "other"})
    assert not rule.fits(Session("cs", 100, "usd", (), "http://s", None, 0, 1000, metadata={"order_id": "o"}).names)
    assert not rule.fits({})


def test_the_simulator_refuses_production() -> None:
    with pytest.raises(WrongSettings, match="CHECKOUT_ENV"):
        load_settings(CHECKOUT_ENV="production")


def test_the_database_address_is_handed_to_asyncpg_as_it_is_and_not_shown() -> None:
    settings = load_settings(DATABASE_URL="postgresql://u:p@h:1/d")
    assert settings.dsn == "postgresql://u:p@h:1/d"
    assert "p@h" not in repr(settings)


def test_events_go_to_the_gateways_port_unless_told_otherwise() -> None:
    assert (
        load_settings(CHECKOUT_API_PORT=9, PAYMENT_WEBHOOK_URL="").webhook_url == "http://127.0.0.1:9/payment_webhook"
    )


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("ftp://shop", "must begin with http:// or https:// and name a host"),
        ("HTTP://shop", "must begin with http:// or https:// and name a host"),
        ("http:///hook", "must begin with http:// or https:// and name a host"),
        ("http://shop/a b", "must be an address alone"),
        ("http://shop/a\u2003b", "must be an address alone"),
        ("http://shop/\xa0b", "must be an address alone"),
        ("http://user@shop", "must be an address alone"),
        ("http://shop:0", "must be an address alone"),
        ("http://shop:65536", "must be an address alone"),
        ("http://shop/?a", "must be an address alone"),
        ("http://shop/#a", "must be an address alone"),
    ],
)
def test_a_webhook_address_that_cannot_be_one_is_refused_and_told_why(url: str, told: str) -> None:
    with pytest.raises(WrongSettings, match=f"PAYMENT_WEBHOOK_URL: {told}"):
        load_settings(PAYMENT_WEBHOOK_URL=url)


def test_the_migrations_are_numbered_without_a_gap() -> None:
    assert list(FILES) == [f"{number:04}" for number in range(1, len(FILES) + 1)]
    assert list(FILES)[-1] == HEAD
    folder = FILES[HEAD].parent
    assert sorted(FILES.values()) == sorted(folder.glob("*.sql")), "two files have one number, and one of them is lost"
