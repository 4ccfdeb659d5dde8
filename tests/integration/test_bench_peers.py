"""A peer that does less than the shop's checkout would flatter itself: each does the same to the same tables."""

import asyncio
import importlib.util
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import asyncpg
import httpx
import pytest

from bench.contestants import CONTESTANTS, Running, running
from db.audit import audit_ledgers
from db.engine import create_engine
from stack.config import StackConfig
from stack.stack import Stack
from tests.support.eventually import eventually
from tests.support.stacks import data_dir

_EFFECTS = """
    SELECT o.status, o.amount_total, o.currency, o.payment_session_id IS NOT NULL, o.payment_intent_id IS NOT NULL,
           o.fulfilled_at IS NOT NULL, o.dispatch_due_at IS NOT NULL,
           (SELECT array_agg((sku, quantity, unit_amount)::text) FROM shop.order_lines WHERE order_id = o.id),
           (SELECT array_agg((sku, quantity, state)::text) FROM shop.reservations WHERE order_id = o.id),
           (SELECT array_agg((sku, delta, cause)::text) FROM shop.stock_movements WHERE order_id = o.id),
           (SELECT array_agg(kind ORDER BY seq) FROM shop.order_events WHERE order_id = o.id)
      FROM shop.orders o WHERE checkout_key = $1
"""
PEERS = ("dbos", "temporal", "bare")


@pytest.fixture(scope="module")
async def postgres(scratch: Path) -> AsyncIterator[Stack]:
    async with Stack(StackConfig.for_tests(scratch / "bench-postgres", parts=("postgres",))) as stack:
        yield stack


@pytest.fixture(scope="module", params=["ours", *PEERS])
async def contestant(postgres: Stack, scratch: Path, request: pytest.FixtureRequest) -> AsyncIterator[Running]:
    if request.param == "dbos" and importlib.util.find_spec("dbos") is None:
        # A peer's framework is no dependency of the shop or of its tests; whoever measures it has it, and runs this.
        pytest.skip("dbos is not installed: `make bench` does it")
    async with running(CONTESTANTS[request.param], postgres, scratch / "bench") as contestant:
        yield contestant


async def effects(contestant: Running, key: str) -> list[object]:
    connection = await asyncpg.connect(contestant.stack.database_url)
    try:
        return list((await connection.fetchrow(_EFFECTS, key)) or [])
    finally:
        await connection.close()


async def test_a_paid_checkout_leaves_the_same_rows_and_a_repeated_key_the_same_answer(contestant: Running) -> None:
    async with httpx.AsyncClient(timeout=20) as http:
        url = f"{contestant.target.gateway_url}/checkout/a-key"
        cart = {"items": [{"sku": "pen", "quantity": 2}]}
        first, second = await http.post(url, json=cart), await http.post(url, json=cart)
        assert (first.status_code, second.json()) == (200, first.json()), first.text
        assert (await effects(contestant, "a-key"))[0] == "awaiting_payment"
        session = {"session_id": first.json()["session_id"]}
        paid = await http.post(f"{contestant.target.payment_url}/api/submit_payment", data=session)
        assert paid.status_code == 204

        async def is_fulfilled() -> bool:
            return (await effects(contestant, "a-key"))[0] == "fulfilled"

        await eventually(is_fulfilled, what="the order being fulfilled")
        assert await effects(contestant, "a-key") == [
            "fulfilled", 2000, "usd", True, True, True, True,
            ["(pen,2,1000)"], ["(pen,2,consumed)"], ["(pen,-2,reserve)"],
            ["reserved", "awaiting_payment", "paid", "fulfilled"],
        ]  # fmt: skip
        assert (await http.post(url, json=cart)).json() == first.json()


async def test_what_is_not_in_stock_is_refused_and_reserves_nothing(contestant: Running) -> None:
    async with httpx.AsyncClient(timeout=20) as http:
        cart = {"items": [{"sku": "limited-print", "quantity": 11}]}
        answer = await http.post(f"{contestant.target.gateway_url}/checkout/too-many", json=cart)
    assert answer.status_code == 409, answer.text
    assert (await effects(contestant, "too-many"))[0] == "rejected"


async def test_the_auditor_has_nothing_to_say(contestant: Running) -> None:
    engine = create_engine(contestant.stack.database_url)
    async with engine.connect() as connection:
        findings = await audit_ledgers(connection, timedelta(0))
    await engine.dispose()
    assert [finding for finding in findings if finding.violations] == []


async def test_a_whole_comparison_is_run_audited_and_written_down(tmp_path: Path) -> None:
    """The smallest there is, as users run it."""
    arguments = ("-m", "bench", "run", "--quick", "--peers", "bare", "--only", "peak,closed", "--out", str(tmp_path))
    with data_dir() as folder:
        child = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, "--data-dir", str(folder / "data"), stdout=PIPE, stderr=PIPE
        )
        out, told = await child.communicate()
    assert child.returncode == 0, told.decode()
    assert "| no durability |" in out.decode()
    assert "no durability: measuring" in told.decode()
    assert set(os.listdir(tmp_path)) == {"results.json", "table.md", "throughput.svg", "cpu.svg", "closed.svg"}
    document = json.loads((tmp_path / "results.json").read_text())
    peak = next(each for each in document["results"] if each["workload"] == "peak")
    assert (peak["fulfilled"], peak["errors"]) == (120, {})
