"""`GET` on the address that a 202 names: what has become of the checkout."""

import secrets

import httpx
import pytest

from checkout.orders import OrderStatus
from stack.stack import Stack
from tests.support.rig import Rig, gateway, settings_for


async def test_a_checkout_under_way_has_no_answer_yet_and_its_address_says_so(
    database_url: str, temporal_server: Stack
) -> None:
    """No worker runs: only Temporal knows of the checkout."""
    settings = settings_for(database_url, temporal_server.config.settings.temporal_port, CHECKOUT_SESSION_WAIT=0.2)
    async with gateway(settings) as client:
        begun = await client.post("/checkout")
        assert begun.status_code == 202
        looked = await client.get(begun.headers["location"])
    assert (looked.status_code, looked.content) == (202, begun.content)
    for name in ("location", "retry-after", "idempotency-key", "cache-control"):
        assert looked.headers[name] == begun.headers[name]


async def test_a_checkout_with_an_answer_gives_the_same_bytes_in_either_form(rig: Rig) -> None:
    bought = await rig.buy(secrets.token_hex(8))
    at = f"/checkout/{bought.headers['idempotency-key']}"
    looked = await rig.http.get(at)
    assert (looked.status_code, looked.content) == (200, bought.content)
    assert looked.headers["idempotent-replayed"] == "true"
    plain = {"Accept": "text/plain"}
    assert (await rig.http.get(at, headers=plain)).text == (await rig.http.post(at, headers=plain)).text
    person = await rig.http.get(at, headers={"Accept": "text/html"})
    assert (person.status_code, person.headers["location"]) == (303, f"/orders/{bought.json()['order_id']}/view")


async def test_looking_starts_nothing_and_does_not_change_the_order(rig: Rig) -> None:
    key, order_id, _ = await rig.bought()
    before = (await rig.temporal.get_workflow_handle(key).describe()).history_length
    for _ in range(3):
        await rig.http.get(f"/checkout/{key}")
    assert (await rig.temporal.get_workflow_handle(key).describe()).history_length == before
    assert (await rig.order(order_id)).status is OrderStatus.AWAITING_PAYMENT


async def test_a_refused_checkout_tells_why_as_it_told_the_buyer(rig: Rig) -> None:
    key = secrets.token_hex(8)
    refused = await rig.buy(key, items=[{"sku": "limited-print", "quantity": 99}])
    assert refused.status_code == 409
    assert (await rig.http.get(f"/checkout/{key}")).json() == refused.json()


async def test_of_a_key_that_nobody_used_nothing_is_told(rig: Rig) -> None:
    answers: list[httpx.Response] = [await rig.http.get(f"/checkout/{key}") for key in ("a", "Z" * 200, "ord_x")]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert not await rig.is_known("a")


@pytest.mark.parametrize("key", ["a b", "a/b", "x" * 201, "settle:cs_1", "%00"])
async def test_what_is_no_key_is_refused_as_when_buying(rig: Rig, key: str) -> None:
    looked, bought = await rig.http.get(f"/checkout/{key}"), await rig.http.post(f"/checkout/{key}")
    assert (looked.status_code, looked.json()) == (bought.status_code, bought.json()) == (400, bought.json())
