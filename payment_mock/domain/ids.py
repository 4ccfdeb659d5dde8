"""Stripe-shaped identifiers. A session's payment intent and charge share its random part, as Stripe's pi_ and ch_ do:
so the intent of a session is known before it exists, and two racing attempts cannot make two of them."""

import os

_ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
# Byte → letter. 256 is no multiple of 62, so eight letters are a little likelier: still > 5.9 bits a letter.
_LETTERS = bytes(_ALPHABET[byte % 62] for byte in range(256))
_SESSION = "cs_test_a1"


def _random(length: int) -> str:
    return os.urandom(length).translate(_LETTERS).decode()


def session_id() -> str:
    return _SESSION + _random(32)


def payment_intent_id(session: str) -> str:
    return "pi_3" + session.removeprefix(_SESSION)[:24]


def charge_id(session: str) -> str:
    return "ch_3" + session.removeprefix(_SESSION)[:24]


def refund_id() -> str:
    return "re_3" + _random(24)


def dispute_id() -> str:
    return "du_1" + _random(24)


def event_id() -> str:
    return "evt_1" + _random(24)


def request_id() -> str:
    return "req_" + _random(14)
