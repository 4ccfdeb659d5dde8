"""Every command against the real stack."""

import asyncio
import json
import secrets
from pathlib import Path

import pytest

from stack.stack import Stack

from .conftest import Checkout


@pytest.fixture
def key() -> str:
    return f"cli-{secrets.token_hex(8)}"


async def test_what_is_bought_and_paid_is_fulfilled_and_found_by_all_its_names(
    checkout_process: Checkout, key: str
) -> None:
    bought = await checkout_process("buy", "pen:2", "notebook", "--key", key, "--email", "ada@example.com", "--json")
    assert bought.code == 0, bought.stderr
    assert (bought.json["amount_total"], bought.json["replayed"]) == (2450, False)

    paid = await checkout_process("pay", bought.json["session_id"], "--json")
    assert (paid.code, paid.json["status"]) in {(0, "fulfilled"), (0, "dispatched")}

    for name in (bought.json["order_id"], bought.json["session_id"], key):
        found = await checkout_process("status", name, "--json")
        assert (found.code, found.json["order_id"]) == (0, bought.json["order_id"])
    assert "ada@example.com" not in found.stdout


async def test_following_an_order_ends_with_its_dispatch(checkout: Checkout, key: str) -> None:
    await checkout("buy", "--key", key, "--pay")
    followed = await checkout("status", key, "--follow")
    assert followed.code == 0
    assert "dispatched" in followed.stdout


async def test_the_same_key_is_the_same_order_however_often_and_at_once(checkout_process: Checkout, key: str) -> None:
    answers = await asyncio.gather(*(checkout_process("buy", "--key", key, "--json") for _ in range(3)))
    orders = {answer.json["order_id"] for answer in answers}
    assert ([answer.code for answer in answers], len(orders)) == ([0, 0, 0], 1)
    assert (await checkout_process("buy", "notebook", "--key", key)).code == 1
    assert (await checkout_process("pay", key, "--cancel")).code == 0


async def test_what_is_not_in_stock_is_a_no_that_names_it(checkout: Checkout) -> None:
    refused = await checkout("buy", "limited-print:99", "--json")
    assert (refused.code, refused.json["error"]["code"]) == (1, "out-of-stock")
    assert "limited-print" in refused.json["error"]["detail"]


async def test_a_declined_card_leaves_the_order_open_for_another(checkout: Checkout, key: str) -> None:
    await checkout("buy", "--key", key)
    declined = await checkout("pay", key, "--decline", "--json")
    assert (declined.code, declined.json["order"]["status"]) == (1, "awaiting_payment")
    assert (await checkout("pay", key)).code == 0


async def test_a_cancelled_order_cannot_be_paid(checkout: Checkout, key: str) -> None:
    await checkout("buy", "--key", key)
    cancelled = await checkout("pay", key, "--cancel", "--json")
    assert (cancelled.code, cancelled.json["status"]) == (0, "cancelled")
    refused = await checkout("pay", key)
    assert refused.code == 1
    assert "cannot be paid" in refused.stderr


async def test_a_part_is_given_back_once_for_its_key_and_then_the_rest(checkout: Checkout, key: str) -> None:
    await checkout("buy", "pen:2", "--key", key, "--pay")
    for _ in range(2):
        part = await checkout("refund", key, "--line", "pen=1", "--no-restock", "--key", f"{key}-one", "--json")
        assert (part.code, part.json["refund"]["amount"], part.json["payment"]["kept"]) == (0, 1000, 1000), part.stderr
    refused = await checkout("refund", key, "--amount", "10.01", "--json")
    assert (refused.code, refused.json["error"]["code"]) == (1, "refund-exceeds-payment")
    rest = await checkout("refund", key, "--json")
    assert (rest.code, rest.json["status"]) == (0, "refunded")
    shown = (await checkout("status", key)).stdout
    assert "20.00 USD" in shown
    assert "All of the money was given back" in shown


async def test_a_debit_is_on_its_way_and_is_followed_to_its_end(checkout: Checkout, key: str) -> None:
    await checkout("buy", "--key", key)
    paid = await checkout("pay", key, "--method", "pm_usBankAccount_insufficientFunds", "--json")
    assert (paid.code, paid.json["status"]) == (0, "payment_processing"), paid.stderr
    followed = await checkout("status", key, "--follow")
    assert "cancelled (payment failed)" in followed.stdout
    assert (await checkout("refund", key)).code == 1


async def test_restocking_adds(checkout: Checkout) -> None:
    first = await checkout("restock", "notebook", "5", "--json")
    second = await checkout("restock", "notebook", "7", "--json")
    assert second.json["available"] == first.json["available"] + 7
    assert (await checkout("restock", "no-such-thing", "1")).code == 1


async def test_orders_are_listed_newest_first(checkout: Checkout, key: str) -> None:
    bought = await checkout("buy", "--key", key, "--json")
    listed = await checkout("orders", "--status", "awaiting_payment", "--limit", "1", "--json")
    assert [row["order_id"] for row in listed.json["orders"]] == [bought.json["order_id"]]
    await checkout("pay", key, "--cancel")


async def test_the_operator_s_commands_need_the_token(checkout: Checkout) -> None:
    for command in (["orders"], ["audit"], ["restock", "pen", "1"]):
        refused = await checkout(*command, "--token", "not-the-token")
        assert refused.code == 1, command
        assert "operator token" in refused.stderr


async def test_the_audit_of_all_this_is_clean(checkout: Checkout) -> None:
    await checkout("buy", "--pay")
    audited = await checkout("audit", "--json")
    assert (audited.code, audited.json["ok"]) == (0, True), audited.stdout
    assert audited.json["orders"] > 0
    everything = await checkout("audit", "--all", "--json")
    assert (everything.code, everything.json["ok"], everything.json["whole"]) == (0, True, True), everything.stdout


async def test_resetting_a_running_stack_is_refused(checkout: Checkout) -> None:
    refused = await checkout("reset", "--yes")
    assert refused.code == 1
    assert "already runs" in refused.stderr


async def test_the_benchmark_pays_hears_and_audits(checkout_process: Checkout, tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    ended = await checkout_process("bench", "-c", "3", "-n", "6", "--warmup", "1", "--json", "--keep", str(kept))
    assert len([json.loads(line)["seconds"] for line in kept.read_text().splitlines()]) == 6
    report = ended.json
    assert (ended.code, report["fulfilled"], report["errors"], report["watched_by"]) == (0, 6, {}, "listen")
    assert {"postgres", "temporal", "payment", "worker", "gateway", "client"} <= report[
        "cpu_seconds_per_checkout"
    ].keys()
    assert 0 < report["buy_to_answer"]["p50"] <= report["buy_to_fulfilled"]["p50"] <= report["seconds"]
    assert 0 <= report["others_cpu_share"] <= 1
    assert report["audit"]["ok"] is True


async def test_the_benchmark_of_a_shop_elsewhere_looks_instead_of_listening(
    checkout_process: Checkout, stack: Stack
) -> None:
    ended = await checkout_process(
        "bench", "--url", stack.urls["gateway"], "-c", "2", "-n", "3", "--warmup", "0", "--json"
    )
    assert (ended.code, ended.json["fulfilled"], ended.json["watched_by"]) == (0, 3, "poll")


async def test_a_benchmark_that_cannot_buy_is_a_no_with_the_reason_counted(checkout_process: Checkout) -> None:
    available = (await checkout_process("restock", "limited-print", "1", "--json")).json["available"]
    count = str(available + 1)
    ended = await checkout_process("bench", "--sku", "limited-print", "-c", "2", "-n", count, "--warmup", "0", "--json")
    assert ended.code == 1
    assert ended.json["errors"] == {"buy: HTTP 409 out-of-stock": 1}
    assert ended.json["fulfilled"] == available
    assert ended.json["audit"]["ok"] is True
