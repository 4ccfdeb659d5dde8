"""Rules of the control plane: how often and where they fire, and how they are set, kept and removed."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from payment_mock.database import Database
from payment_mock.faults import Faults, RuleInput
from payment_mock.settings import load_settings
from tests.integration.payment_mock.conftest import Merchant


async def test_a_rule_fires_as_often_as_it_says_even_under_a_hundred_requests(merchant: Merchant) -> None:
    session = await merchant.create()
    rule = await merchant.plant("retrieve.before", "error", status=500, times=7)
    answers = await asyncio.gather(*(merchant.look(session.id) for _ in range(100)))
    assert [answer.status_code for answer in answers].count(500) == 7
    assert (await merchant.rule(rule))["fired"] == 7


async def test_a_rule_fires_only_where_it_matches(merchant: Merchant) -> None:
    target = await merchant.create(metadata={"order_id": "the-one"})
    other = await merchant.create(metadata={"order_id": "another"})
    await merchant.plant("retrieve.before", "error", times=None, match={"order_id": "the-one"})
    assert (await merchant.look(other.id)).status_code == 200
    assert (await merchant.look(target.id)).status_code == 500
    await merchant.http.delete("/_faults")
    assert (await merchant.look(target.id)).status_code == 200


async def test_rules_are_removed_whatever_became_of_their_rows(merchant: Merchant) -> None:
    one, other = [await merchant.plant("pay.before", "decline") for _ in range(2)]
    async with merchant.engine.begin() as connection:
        await connection.execute(text("DELETE FROM payments.faults"))
    await merchant.http.delete(f"/_faults/{one}")
    assert [rule["id"] for rule in (await merchant.http.get("/_faults")).json()["rules"]] == [other]
    await merchant.http.delete("/_faults")
    assert (await merchant.http.get("/_faults")).json()["rules"] == []


class Distant(Database):
    """Its answers take a while."""

    async def run(self, *args: Any, **values: Any) -> Any:
        rows = await super().run(*args, **values)
        await asyncio.sleep(0.1 if values else 0.5)
        return rows


async def test_what_is_set_or_removed_while_the_rules_of_an_earlier_life_are_read_is_not_undone(
    merchant: Merchant, payments_database_url: str
) -> None:
    await merchant.plant("pay.before", "decline")
    async with Distant.open(load_settings(DATABASE_URL=payments_database_url)) as database:
        faults = Faults(database)
        _, added = await asyncio.gather(faults.load(), faults.add(RuleInput(point="webhook", action="lose")))
        assert [rule["id"] for rule in faults.listed()][1:] == [added]
        await asyncio.gather(faults.load(), faults.remove(None))
        assert faults.listed() == []


async def test_a_barrier_that_is_removed_while_somebody_comes_to_it_holds_nobody(
    merchant: Merchant, payments_database_url: str
) -> None:
    async with Distant.open(load_settings(DATABASE_URL=payments_database_url)) as database:
        faults = Faults(database)
        await faults.add(RuleInput(point="create.before", action="hold"))
        removing = asyncio.create_task(faults.remove(None))
        await asyncio.sleep(0.05)
        async with asyncio.timeout(5):
            await asyncio.gather(removing, faults.pass_through("create.before", None))


@pytest.mark.parametrize(
    "rule",
    [
        {"point": "create.later", "action": "error"},
        {"point": "retrieve.before", "action": "decline"},
        {"point": "webhook", "action": "lose", "times": 0},
        {"point": "report", "action": "override", "set": {"id": "x"}},
        {"point": "report", "action": "override", "set": {"amount_total": "1"}},
        {"point": "create.before", "action": "delay", "delay_seconds": -1},
        {"point": "create.before", "action": "error", "match": {"colour": "red"}},
    ],
)
async def test_a_rule_that_could_never_work_is_refused(merchant: Merchant, rule: dict[str, Any]) -> None:
    assert (await merchant.http.put("/_faults", json=rule)).status_code == 422
