"""`checkout buy` and `checkout pay` against a shop that answers in every way it may."""

import json
import socket
import threading
import time
from collections.abc import Callable

import pytest
from typer.testing import Result

from .conftest import BOUGHT, ORDER_ID, SESSION_ID, TOKEN, Scripted, order

Checkout = Callable[..., Result]
PROBLEM = {"type": "x", "title": "Not enough in stock", "detail": "Out of stock: pen", "code": "out-of-stock"}


def test_buying_prints_the_order_the_amount_and_how_to_pay(checkout: Checkout, scripted: Scripted) -> None:
    scripted.plan("POST", "/checkout", 200, BOUGHT)
    result = checkout("buy", "pen:2", "notebook", "--key", "k1", "--email", "ada@example.com")
    assert result.exit_code == 0, result.output
    for shown in (ORDER_ID, "24.50 USD", BOUGHT["payment_url"], f"checkout pay {ORDER_ID}"):
        assert str(shown) in result.stdout
    headers, body = scripted.sent("POST", "/checkout")[0]
    assert headers["Idempotency-Key"] == "k1"
    assert json.loads(body) == {
        "items": [{"sku": "pen", "quantity": 2}, {"sku": "notebook", "quantity": 1}],
        "email": "ada@example.com",
    }


def test_json_is_the_shop_s_answer_and_nothing_else(checkout: Checkout, scripted: Scripted) -> None:
    scripted.plan("POST", "/checkout", 200, BOUGHT, Idempotent_Replayed="true")
    result = checkout("buy", "--json")
    assert json.loads(result.stdout) == {**BOUGHT, "replayed": True}
    assert result.stderr == ""


def test_without_a_key_every_purchase_gets_a_new_long_one(checkout: Checkout, scripted: Scripted) -> None:
    scripted.plan("POST", "/checkout", 200, BOUGHT)
    checkout("buy")
    checkout("buy")
    keys = [headers["Idempotency-Key"] for headers, _ in scripted.sent("POST", "/checkout")]
    assert len(set(keys)) == 2
    assert all(len(key) >= 22 for key in keys)


@pytest.mark.parametrize("status", [202, 429, 503])
def test_not_yet_is_asked_again_under_the_same_key_after_the_time_named(
    checkout: Checkout, scripted: Scripted, status: int
) -> None:
    scripted.plan("POST", "/checkout", status, {"status": "pending"}, Retry_After="0.3")
    scripted.plan("POST", "/checkout", 200, BOUGHT)
    result = checkout("buy", "--json")
    assert result.exit_code == 0
    sent = scripted.sent("POST", "/checkout")
    assert len(sent) == 2
    assert sent[0][0]["Idempotency-Key"] == sent[1][0]["Idempotency-Key"]
    assert sent[0][1] == sent[1][1]


def test_a_lost_reply_is_asked_for_again_under_the_same_key(checkout: Checkout, scripted: Scripted) -> None:
    scripted.plan("POST", "/checkout", 0)
    scripted.plan("POST", "/checkout", 200, BOUGHT)
    assert checkout("buy", "--json").exit_code == 0
    keys = {headers["Idempotency-Key"] for headers, _ in scripted.sent("POST", "/checkout")}
    assert (len(keys), len(scripted.requests)) == (1, 2)


def test_a_shop_that_goes_away_in_between_is_waited_for(checkout: Checkout, scripted: Scripted) -> None:
    """It was there, so it may come back: unlike one that never answered, this is "not yet", not "nobody"."""
    scripted.plan("POST", "/checkout", 503, {"title": "Away"}, Retry_After="0.5", Connection="close")

    def close_once_asked() -> None:
        while not scripted.requests:
            time.sleep(0.005)
        time.sleep(0.1)  # the answer leaves first
        scripted.close()

    threading.Thread(target=close_once_asked, daemon=True).start()
    result = checkout("buy", "--key", "k8", "--timeout", "1.2")
    assert result.exit_code == 1
    assert "--key k8" in result.stderr


def test_when_patience_ends_the_key_to_go_on_with_is_named(checkout: Checkout, scripted: Scripted) -> None:
    scripted.plan("POST", "/checkout", 503, {"title": "Away"}, Retry_After="30")
    result = checkout("buy", "--key", "k7", "--timeout", "1")
    assert result.exit_code == 1
    assert "--key k7" in result.stderr
    assert result.stdout == ""


def test_a_refusal_is_shown_in_the_shop_s_words_and_never_repeated(checkout: Checkout, scripted: Scripted) -> None:
    scripted.plan("POST", "/checkout", 409, PROBLEM)
    result = checkout("buy")
    assert (result.exit_code, len(scripted.requests)) == (1, 1)
    assert "Not enough in stock" in result.stderr
    assert "Out of stock: pen" in result.stderr
    refused = json.loads(checkout("buy", "--json").stdout)
    assert (refused["ok"], refused["exit_code"], refused["error"]["code"]) == (False, 1, "out-of-stock")


def test_markup_in_the_shop_s_words_is_text(checkout: Checkout, scripted: Scripted) -> None:
    scripted.plan("POST", "/checkout", 422, {"title": "[bold]no[/bold]", "detail": "[/nonsense]"})
    result = checkout("buy")
    assert "[bold]no[/bold]" in result.stderr
    assert "[/nonsense]" in result.stderr


def test_nobody_there_says_what_to_do_first(checkout: Checkout) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = str(closed.getsockname()[1])
    result = checkout("buy", CHECKOUT_API_PORT=port)
    assert result.exit_code == 3
    assert "`make up` first" in result.stderr


def test_a_cart_that_cannot_be_read_is_a_usage_error_and_sends_nothing(checkout: Checkout, scripted: Scripted) -> None:
    assert checkout("buy", "pen:lots").exit_code == 2
    assert scripted.requests == []


def test_buy_and_pay_waits_until_it_is_fulfilled(checkout: Checkout, scripted: Scripted) -> None:
    scripted.plan("POST", "/checkout", 200, BOUGHT)
    scripted.plan("POST", "/api/submit_payment", 204)
    scripted.plan("GET", f"/orders/{ORDER_ID}", 200, order())
    scripted.plan("GET", f"/orders/{ORDER_ID}", 200, order("fulfilled"))
    result = checkout("buy", "--pay", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["order"]["status"] == "fulfilled"
    assert scripted.sent("POST", "/api/submit_payment")[0][1] == f"session_id={SESSION_ID}".encode()


def test_paid_but_cancelled_is_a_no(checkout: Checkout, scripted: Scripted) -> None:
    scripted.plan("POST", "/checkout", 200, BOUGHT)
    scripted.plan("POST", "/api/submit_payment", 204)
    scripted.plan("GET", f"/orders/{ORDER_ID}", 200, order("refunded", reason="late_payment"))
    result = checkout("buy", "--pay")
    assert result.exit_code == 1
    assert "refunded (late payment)" in result.stdout


def test_a_session_can_be_paid_by_its_own_id(checkout: Checkout, scripted: Scripted) -> None:
    rows = [{"checkout_key": "k1", "order_id": ORDER_ID}]
    scripted.plan("GET", "/admin/orders", 200, {"orders": rows, "next": None})
    scripted.plan("GET", f"/orders/{ORDER_ID}", 200, order())
    scripted.plan("GET", f"/orders/{ORDER_ID}", 200, order("dispatched"))
    scripted.plan("POST", "/api/submit_payment", 204)
    assert checkout("pay", SESSION_ID).exit_code == 0
    asked = next(request for request in scripted.requests if request[1].startswith("/admin/orders"))
    assert asked[2]["Authorization"] == f"Bearer {TOKEN}"


def test_a_key_finds_its_own_order_not_one_whose_key_begins_alike(checkout: Checkout, scripted: Scripted) -> None:
    rows = [{"checkout_key": "k1-other", "order_id": "x"}, {"checkout_key": "k1", "order_id": ORDER_ID}]
    scripted.plan("GET", "/admin/orders", 200, {"orders": rows, "next": None})
    scripted.plan("GET", f"/orders/{ORDER_ID}", 200, order("dispatched"))
    assert json.loads(checkout("status", "k1", "--json").stdout)["order_id"] == ORDER_ID
    assert checkout("status", "k", "--json").exit_code == 1


def test_a_declined_card_is_a_no_and_leaves_the_order_open(checkout: Checkout, scripted: Scripted) -> None:
    scripted.plan("GET", f"/orders/{ORDER_ID}", 200, order())
    scripted.plan("POST", f"/payment/{SESSION_ID}/decline", 402, {})
    result = checkout("pay", ORDER_ID, "--decline", "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == {"declined": True, "order": order()}


def test_what_can_no_longer_be_paid_cannot_be_declined_either(checkout: Checkout, scripted: Scripted) -> None:
    scripted.plan("GET", f"/orders/{ORDER_ID}", 200, order())
    scripted.plan("POST", f"/payment/{SESSION_ID}/decline", 409, {})
    result = checkout("pay", ORDER_ID, "--decline", "--json")
    assert (result.exit_code, json.loads(result.stdout)["ok"]) == (1, False)


def test_the_operator_token_goes_to_the_operator_s_calls_only(checkout: Checkout, scripted: Scripted) -> None:
    scripted.plan("GET", f"/orders/{ORDER_ID}", 200, order("fulfilled"))
    checkout("status", ORDER_ID)
    assert "Authorization" not in scripted.requests[0][2]


def test_cancelling_is_done_when_the_order_is_cancelled(checkout: Checkout, scripted: Scripted) -> None:
    scripted.plan("GET", f"/orders/{ORDER_ID}", 200, order())
    scripted.plan("GET", f"/orders/{ORDER_ID}", 200, order("cancelled", reason="customer"))
    scripted.plan("POST", "/api/cancel_payment", 204)
    assert checkout("pay", ORDER_ID, "--cancel").exit_code == 0


def test_a_payment_the_provider_refuses_is_a_no_in_the_provider_s_words(checkout: Checkout, scripted: Scripted) -> None:
    scripted.plan("GET", f"/orders/{ORDER_ID}", 200, order())
    stripe = {"error": {"message": "This session cannot be paid: it expired.", "code": "session_not_payable"}}
    scripted.plan("POST", "/api/submit_payment", 409, stripe)
    result = checkout("pay", ORDER_ID)
    assert result.exit_code == 1
    assert "it expired" in result.stderr


def test_cancel_and_decline_exclude_each_other(checkout: Checkout) -> None:
    assert checkout("pay", ORDER_ID, "--cancel", "--decline").exit_code == 2
