"""Canaries: marked secrets go in wherever a customer or an operator can put them; then everything stored is searched.

Histories as exported and as they lie on Temporal's disk, every table, every log, the metrics. Each search is shown to
work by something that must be found.
"""

import asyncio
import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.client import Client

from runtime.codec import ENCODING
from stack.stack import Stack, cluster
from tests.security.conftest import PAYLOAD_KEYS
from tests.security.trail import CARD, Trail, leave_trail
from tests.support.eventually import eventually
from tests.support.stacks import environment_of, log_of

LOGS = ("gateway", "worker", "payment", "setup", "postgres", "temporal")


@pytest.fixture(scope="module")
async def trail(guarded: Stack) -> Trail:
    return await leave_trail(guarded)


def secrets_of(guarded: Stack) -> dict[str, str]:
    """What no store, no log and no answer may hold."""
    postgres = cluster(guarded.config)
    database = {
        f"password of {name}": str(urlsplit(url).password)
        for name, url in (
            ("owner", postgres.url()),
            *((part, postgres.url(f"checkout_{part}")) for part in ("gateway", "worker", "payment")),
        )
    }
    return database | {
        "operator token": guarded.admin_token,
        "webhook secret": guarded.credentials.webhook_secret,
        "provider's key": environment_of(guarded)["STRIPE_SECRET_KEY"],
        "payload key": PAYLOAD_KEYS.partition(":")[2],
        "card number": CARD,
    }


def found_in(content: bytes, wanted: dict[str, str]) -> list[str]:
    """Names of what occurs, as it is or in base64 at any alignment (a history's JSON holds payloads so)."""
    hits = []
    for name, value in wanted.items():
        raw = value.encode()
        forms = [raw] + [base64.b64encode(b"\0" * shift + raw)[4:-4] for shift in range(3)]
        if any(form in content for form in forms):
            hits.append(name)
    return hits


def stored_by_temporal(data_dir: Path) -> bytes:
    """The development server's SQLite file with its journal, as they lie there."""
    return b"".join(file.read_bytes() for file in sorted(data_dir.rglob("temporal.db*")))


def messages(root: Message, inside: str = "") -> Iterator[tuple[str, Message]]:
    """Every message below, with the names of the fields that lead to it."""
    yield inside, root
    for field, value in root.ListFields():
        if field.type != field.TYPE_MESSAGE:
            continue
        path = f"{inside}.{field.name}"
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            values = [value[key] for key in value]
        else:
            values = list(value) if field.is_repeated else [value]
        for each in values:
            if isinstance(each, Message):
                yield from messages(each, path)


async def histories(temporal: Client, trail: Trail) -> dict[str, Any]:
    ids = [*trail.keys, *(f"dispatch/{each}" for each in trail.order_ids), f"refund/{trail.order_ids[2]}"]
    exported = {}
    async for execution in temporal.list_workflows():
        if execution.id in ids or execution.id.startswith("settle:"):
            exported[execution.id] = await temporal.get_workflow_handle(execution.id).fetch_history()
    return exported


async def test_no_history_shows_an_email_or_a_secret(guarded: Stack, temporal: Client, trail: Trail) -> None:
    wanted_ids = {*trail.keys, f"refund/{trail.order_ids[2]}"}

    async def all_listed() -> dict[str, Any] | None:
        exported = await histories(temporal, trail)
        return exported if wanted_ids <= set(exported) else None

    exported = await eventually(all_listed, what="every workflow in the listing, which lags")
    for workflow_id, history in exported.items():
        wanted = secrets_of(guarded) | {"email": trail.email, "mark": f"ada.{trail.mark}"}
        assert found_in(history.to_json().encode(), wanted) == [], workflow_id


async def test_every_payload_but_search_attributes_and_the_sdks_markers_is_encrypted(
    temporal: Client, trail: Trail
) -> None:
    seen: dict[str, int] = {}
    for history in (await histories(temporal, trail)).values():
        for event in history.events:
            for path, message in messages(event):
                if isinstance(message, Payload):
                    kind = path.split(".")[1] if len(path.split(".")) > 1 else path
                    if "search_attributes" in path or (
                        kind == "marker_recorded_event_attributes" and b"seq" in message.data
                    ):
                        assert trail.email.encode() not in message.data
                        continue
                    assert message.metadata.get("encoding") == ENCODING, (path, message)
                    seen[kind] = seen.get(kind, 0) + 1
    assert seen["workflow_execution_started_event_attributes"] >= 5
    assert seen["marker_recorded_event_attributes"] >= 10
    assert seen["user_metadata"] >= 5, "summaries are payloads too"


async def test_no_failure_in_a_history_says_why(temporal: Client, trail: Trail) -> None:
    failures = [
        message
        for history in (await histories(temporal, trail)).values()
        for event in history.events
        for _, message in messages(event)
        if isinstance(message, Failure)
    ]
    assert failures, "the refused payment session must have left one"
    # "UnhandledCommand" is Temporal's own: news came while a workflow task was under way.
    assert {failure.message for failure in failures} - {"UnhandledCommand"} == {"Encoded failure"}
    assert {failure.stack_trace for failure in failures} == {""}


async def test_an_operator_reads_all_of_it_with_the_key(temporal: Client, trail: Trail) -> None:
    """Otherwise the searches above would also pass on empty histories."""
    started = (await temporal.get_workflow_handle(trail.keys[0]).fetch_history()).events[0]
    given = started.workflow_execution_started_event_attributes.input.payloads
    (checkout,) = await temporal.data_converter.decode(given)
    assert checkout["email"] == trail.email
    refused = await temporal.get_workflow_handle(trail.keys[3]).fetch_history()
    causes = [message for event in refused.events for _, message in messages(event) if isinstance(message, Failure)]
    error = await temporal.data_converter.decode_failure(causes[0])
    assert "The payment service answered 4" in f"{error} {error.__cause__}"


async def test_nothing_of_it_lies_on_temporals_disk(guarded: Stack, trail: Trail) -> None:
    content = await asyncio.to_thread(stored_by_temporal, guarded.config.data_dir)
    assert found_in(content, {"key": trail.keys[0]}) == ["key"], "the search works: workflow ids are there"
    assert found_in(content, secrets_of(guarded) | {"email": trail.email}) == []


async def test_the_database_holds_an_email_where_it_is_searched_for_and_no_secret_at_all(
    guarded: Stack, trail: Trail
) -> None:
    wanted = secrets_of(guarded) | {"email": trail.email}
    hits = set()
    connection = await asyncpg.connect(guarded.database_url)
    try:
        tables = await connection.fetch(
            "SELECT table_schema, table_name, column_name FROM information_schema.columns"
            " WHERE table_schema IN ('shop', 'payments')"
        )
        for schema, table, column in tables:
            rows = await connection.fetch(f'SELECT "{column}"::text FROM {schema}.{table} WHERE "{column}" IS NOT NULL')
            content = "\n".join(row[0] for row in rows).encode()
            # bytea is shown as hexadecimal digits.
            content += b"".join(bytes.fromhex(row[0][2:]) for row in rows if row[0].startswith("\\x"))
            hits |= {(name, schema, f"{table}.{column}") for name in found_in(content, wanted)}
    finally:
        await connection.close()
    # Folded for the search, it is in the same row.
    columns = {("email", "shop", "orders.email"), ("email", "shop", "orders.email_folded")}
    assert {hit for hit in hits if hit[1] == "shop"} == columns
    assert {hit[0] for hit in hits if hit[1] == "payments"} <= {"email"}, "the provider writes the receipt"


async def test_no_log_and_no_metric_tells_who_bought_or_how_to_get_in(
    client: httpx.AsyncClient, guarded: Stack, trail: Trail
) -> None:
    wanted = secrets_of(guarded) | {"email": trail.email, "name": f"ada.{trail.mark}", "token": f"wrong-{trail.mark}"}
    for part in LOGS:
        assert found_in(log_of(guarded, part).encode(), wanted) == [], part
    assert trail.keys[0] in log_of(guarded, "gateway"), "the guide's line names the key: the search works"
    metrics = (await client.get("/metrics")).content
    ids = {each: each for each in (*trail.keys, *trail.order_ids)}
    assert b"/orders/{order_id}" in metrics
    assert found_in(metrics, wanted | ids) == []


async def test_no_problem_repeats_what_was_sent(client: httpx.AsyncClient, trail: Trail) -> None:
    for body in ({"card": CARD}, {"email": f"{trail.email} {CARD}"}, {"items": [{"sku": CARD, "quantity": CARD}]}):
        answer = await client.post("/checkout", json=body)
        assert answer.status_code == 422
        assert CARD not in answer.text or answer.json()["errors"][0]["message"] == f"there is no product {CARD}"
        assert trail.email not in answer.text
