"""E-mail addresses of carts: what a payment service would send a receipt to, each written in one way."""

import pytest
from pydantic import ValidationError

from api.carts import CheckoutRequest


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("ada@example.com", "ada@example.com"),
        ("Ada@EXAMPLE.Com", "Ada@example.com"),
        ("ada+pens@sub.example.co.uk", "ada+pens@sub.example.co.uk"),
        ("o'hara@example.com", "o'hara@example.com"),
        ("иван@example.com", "иван@example.com"),
        ("ada@xn--bcher-kva.example", "ada@bücher.example"),
    ],
)
def test_an_address_is_kept_as_it_is_written_everywhere(typed: str, kept: str) -> None:
    assert CheckoutRequest(email=typed).email == kept


@pytest.mark.parametrize(
    "typed",
    [
        "ada", "@example.com", "ada@", "ada@localhost", "ada@shop", "ada@host.local", "ada@1.2", "ada@-x.de",
        "a b@x.de", "ada..x@example.com", "Ada <ada@example.com>", "ada@example.com,eve@example.com", "ada@[1.2.3.4]",
        "a\u0000@x.de", "ada@exam_ple.com", "ada@example.com\r\nBcc: eve@example.com",
        "a" * 250 + "@x.de", "", " ada@example.com",
    ],
)  # fmt: skip
def test_what_no_receipt_can_reach_is_refused(typed: str) -> None:
    with pytest.raises(ValidationError) as refused:
        CheckoutRequest(email=typed)
    assert [error["loc"] for error in refused.value.errors()] == [("email",)]
