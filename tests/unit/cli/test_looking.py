"""`status`, `orders`, `restock`, `audit`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from .conftest import AUDIT, ORDER_ID, TOKEN, Scripted, order

Checkout = Callable[..., Result]


def test_status_shows_lines_payment_and_timeline(checkout: Checkout, scripted: Scripted) -> None:
    scripted.plan("GET", f"/orders/{ORDER_ID}", 200, order("cancelled", reason="timeout", dispatch=None))
    result = checkout("status", ORDER_ID)
    assert result.exit_code == 0
    for shown in ("cancelled (timeout)", "2 pen at 10.00 USD", "24.50 USD", "11:24:08.123", "opened"):
        assert shown in result.stdout


def test_following_ends_when_nothing_more_can_happen(checkout: Checkout, scripted: Scripted) -> None:
    for progress, status in ((0.0, "awaiting_payment"), (0.4, "fulfilled"), (1.0, "dispatched")):
        scripted.plan("GET", f"/orders/{ORDER_ID}", 200, order(status, dispatch={"progress": progress}))
    result = checkout("status", ORDER_ID, "--follow", "--json")
    documents = [json.loads(line) for line in result.stdout.splitlines()]
    assert [document["status"] for document in documents] == ["awaiting_payment", "fulfilled", "dispatched"]


def test_an_unknown_order_is_a_no(checkout: Checkout) -> None:
    assert checkout("status", ORDER_ID).exit_code == 1


def test_an_odd_reference_cannot_reach_another_address(checkout: Checkout, scripted: Scripted) -> None:
    checkout("status", "ord_/../../admin/audit")
    asked = [path for _, path, _, _ in scripted.requests]
    assert asked == [
        "/orders/ord_%2F..%2F..%2Fadmin%2Faudit",
        "/admin/orders?q=ord_%2F..%2F..%2Fadmin%2Faudit&limit=500",  # a key may begin with ord_
    ]


def test_a_key_is_found_among_many_that_begin_alike(checkout: Checkout, scripted: Scripted) -> None:
    others = [{"checkout_key": f"load-1{number}", "order_id": f"ord_{number}"} for number in range(500)]
    scripted.plan("GET", "/admin/orders", 200, {"orders": others, "next": "more"})
    scripted.plan(
        "GET", "/admin/orders", 200, {"orders": [{"checkout_key": "load-1", "order_id": ORDER_ID}], "next": None}
    )
    scripted.plan("GET", f"/orders/{ORDER_ID}", 200, order())
    assert json.loads(checkout("status", "load-1", "--json").stdout)["order_id"] == ORDER_ID
    assert "after=more" in scripted.requests[1][1]


def test_a_key_may_begin_as_an_order_id_does(checkout: Checkout, scripted: Scripted) -> None:
    rows = [{"checkout_key": "ord_of_mine", "order_id": ORDER_ID}]
    scripted.plan("GET", "/admin/orders", 200, {"orders": rows, "next": None})
    scripted.plan("GET", f"/orders/{ORDER_ID}", 200, order())
    assert checkout("status", "ord_of_mine").exit_code == 0


def test_an_unknown_order_needs_no_token_to_be_unknown(checkout: Checkout, scripted: Scripted) -> None:
    scripted.plan("GET", "/admin/orders", 401, {"title": "Not allowed", "code": "unauthorized"})
    result = checkout("status", ORDER_ID)
    assert (result.exit_code, "Not allowed" in result.stderr) == (1, False)


@pytest.mark.parametrize("url", ["http://localhost:80820", "http://localhost:port", "http://", "ftp://shop.example"])
def test_an_address_that_can_be_none_is_a_wrong_option(checkout: Checkout, url: str) -> None:
    result = checkout("orders", "--url", url)
    assert (result.exit_code, "Wrong --url" in result.stderr) == (2, True)


@pytest.mark.parametrize("token", ["schlüssel", "two\nlines", " blank"])
def test_a_token_that_no_header_can_hold_is_a_wrong_option(checkout: Checkout, token: str) -> None:
    result = checkout("orders", "--token", token)
    assert (result.exit_code, "Wrong --token" in result.stderr) == (2, True)


@pytest.mark.parametrize("key", [" birthday-1", "birthday-1\r", "größe", "a/b"])
def test_a_key_that_can_be_none_is_a_wrong_option_and_sent_nowhere(
    checkout: Checkout, scripted: Scripted, key: str
) -> None:
    result = checkout("buy", "--key", key)
    assert (result.exit_code, "Wrong --key" in result.stderr) == (2, True)
    assert scripted.requests == []


def test_a_benchmark_says_before_it_begins_that_its_file_cannot_be_written(
    checkout: Checkout, scripted: Scripted, tmp_path: Path
) -> None:
    scripted.plan("GET", "/admin/orders", 200, {"orders": [], "next": None})
    scripted.plan("GET", "/products", 200, {"products": [{"sku": "pen"}]})
    result = checkout("bench", "--keep", str(tmp_path / "no" / "such.jsonl"))
    assert (result.exit_code, "Wrong --keep" in result.stderr) == (2, True)
    assert scripted.sent("POST", "/checkout") == []


def test_a_benchmark_without_the_operators_token_is_not_begun(checkout: Checkout, scripted: Scripted) -> None:
    scripted.plan("GET", "/admin/orders", 401, {"title": "Not allowed", "code": "unauthorized"})
    assert checkout("bench").exit_code == 1
    assert scripted.sent("POST", "/checkout") == []


def test_orders_are_listed_with_what_was_asked_for(checkout: Checkout, scripted: Scripted) -> None:
    row: dict[str, object] = {"order_id": ORDER_ID, "checkout_key": "k1", "status": "fulfilled", "reason": None}
    row |= {"amount_total": 500, "currency": "jpy", "created_at": "2026-11-22T11:00:00Z", "updated_at": None}
    scripted.plan("GET", "/admin/orders", 200, {"orders": [row], "next": "more"})
    result = checkout("orders", "--status", "fulfilled", "--limit", "1", "--query", "k1")
    assert "500 JPY" in result.stdout
    assert scripted.requests[0][1] == "/admin/orders?status=fulfilled&limit=1&q=k1"
    assert "There are more" in result.stderr


def test_watched_orders_are_told_again_whenever_they_have_changed(checkout: Checkout, scripted: Scripted) -> None:
    def page(status: str) -> dict[str, object]:
        return {"orders": [{"order_id": ORDER_ID, "status": status}], "next": "more"}

    for status in ("awaiting_payment", "awaiting_payment", "fulfilled"):
        scripted.plan("GET", "/admin/orders", 200, page(status))
    scripted.plan("GET", "/admin/orders", 401, {"title": "Not allowed", "code": "unauthorized"})
    result = checkout("orders", "--watch", "--json")
    documents = [json.loads(line) for line in result.stdout.splitlines()]
    assert [document["orders"][0]["status"] for document in documents[:2]] == ["awaiting_payment", "fulfilled"]
    assert (result.exit_code, "There are more" in result.stderr) == (1, False)


def test_a_wrong_operator_token_is_explained(checkout: Checkout, scripted: Scripted) -> None:
    scripted.plan("GET", "/admin/orders", 401, {"title": "Not allowed", "code": "unauthorized"})
    result = checkout("orders", "--token", "wrong")
    assert result.exit_code == 1
    assert scripted.requests[0][2]["Authorization"] == "Bearer wrong"
    assert "CHECKOUT_ADMIN_TOKEN" in result.stderr


def test_restocking_is_sent_once_and_tells_what_can_be_bought(checkout: Checkout, scripted: Scripted) -> None:
    scripted.plan("POST", "/admin/restock", 200, {"sku": "pen", "available": 108})
    result = checkout("restock", "pen", "10")
    assert (result.exit_code, "108 can be bought" in result.stdout) == (0, True)
    assert [json.loads(body) for _, body in scripted.sent("POST", "/admin/restock")] == [{"sku": "pen", "quantity": 10}]


def test_a_restock_whose_reply_is_lost_is_not_repeated(checkout: Checkout, scripted: Scripted) -> None:
    scripted.plan("POST", "/admin/restock", 0)
    assert checkout("restock", "pen", "10").exit_code == 3
    assert len(scripted.requests) == 1


def test_what_is_written_off_is_sent_once_with_its_reason(checkout: Checkout, scripted: Scripted) -> None:
    scripted.plan("POST", "/admin/write-off", 200, {"sku": "pen", "available": 98})
    result = checkout("write-off", "pen", "2", "--reason", "leaking")
    assert (result.exit_code, "98 can be bought" in result.stdout) == (0, True)
    sent = [json.loads(body) for _, body in scripted.sent("POST", "/admin/write-off")]
    assert sent == [{"sku": "pen", "quantity": 2, "reason": "leaking"}]


@pytest.mark.parametrize(("command", "says"), [("withdraw", "no longer sold"), ("offer", "sold again")])
def test_a_product_is_withdrawn_and_offered_again(
    checkout: Checkout, scripted: Scripted, command: str, says: str
) -> None:
    scripted.plan("POST", f"/admin/products/pen/{command}", 200, {"sku": "pen", "name": "Pen", "available": 3})
    result = checkout(command, "pen")
    assert (result.exit_code, says in result.stdout) == (0, True)


@pytest.mark.parametrize("quantity", ["0", "-1", "some"])
def test_restocking_nothing_is_a_usage_error(checkout: Checkout, quantity: str) -> None:
    assert checkout("restock", "pen", "--", quantity).exit_code == 2


def test_a_clean_audit_is_a_yes(checkout: Checkout, scripted: Scripted) -> None:
    scripted.plan("GET", "/admin/audit", 200, AUDIT)
    result = checkout("audit")
    assert result.exit_code == 0
    assert "every promise is kept" in result.stdout
    assert scripted.requests[0][2]["Authorization"] == f"Bearer {TOKEN}"


def test_a_violation_is_a_no_and_is_shown(checkout: Checkout, scripted: Scripted) -> None:
    broken = {"number": 1, "name": "No order has two charges", "ok": False, "violations": [{"order": "[x]"}]}
    scripted.plan("GET", "/admin/audit", 200, {**AUDIT, "ok": False, "invariants": [broken]})
    result = checkout("audit")
    assert result.exit_code == 1
    assert "VIOLATED" in result.stdout
    assert "'order': '[x]'" in result.stdout
    assert checkout("audit", "--json").exit_code == 1


def test_an_audit_without_a_verdict_is_not_a_yes(checkout: Checkout, scripted: Scripted) -> None:
    scripted.plan("GET", "/admin/audit", 200, {})
    assert checkout("audit").exit_code == 1


def test_an_audit_of_everything_that_ends_before_its_verdict_is_not_a_yes(
    checkout: Checkout, scripted: Scripted
) -> None:
    scripted.plan("GET", "/admin/audit/progress", 200, {"no": "event"})
    result = checkout("audit", "--all")
    assert (result.exit_code, "did not come to its end" in result.stderr) == (3, True)
