"""The parts of a cluster that can be told without one: layout, programs, balancers, report."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from stack.errors import NotReady
from stack.probes import free_ports
from tests.campaigns.cluster import layout
from tests.campaigns.cluster.balance import Balancer, HttpBalancer, listener
from tests.campaigns.cluster.binaries import Missing, find
from tests.campaigns.cluster.load import LATE, Crowd, Visit
from tests.campaigns.cluster.report import by_kind
from tests.campaigns.cluster.rolling import is_met
from tests.support.eventually import eventually

URL = "postgresql://checkout:secret@127.0.0.1:5999/checkout"


def config_of(name: str) -> dict[str, Any]:
    everybody = layout.roles(range(20_000, 20_030))
    role = next(one for one in everybody if one.name == name)
    return layout.server_config(role, everybody, URL, Path("/d.json"))


def test_a_cluster_has_two_of_each_service_that_work_passes_through() -> None:
    everybody = layout.roles(range(20_000, 20_030))
    assert [role.name for role in everybody] == [
        "history-1", "history-2", "matching-1", "matching-2", "frontend-1", "frontend-2", "worker-1",
    ]  # fmt: skip
    numbers = [port for role in everybody for port in (role.port, role.membership_port, role.http_port) if port]
    assert len(numbers) == len(set(numbers)), "each has ports of its own"
    with pytest.raises(ValueError, match="21 ports"):
        layout.roles(range(5))


def test_a_process_listens_on_its_own_ports_and_all_share_stores_and_shards() -> None:
    first, second = config_of("history-1"), config_of("history-2")
    assert first["services"]["history"]["rpc"] != second["services"]["history"]["rpc"]
    assert first["services"]["matching"] == second["services"]["matching"]
    assert first["persistence"] == second["persistence"]
    assert first["persistence"]["numHistoryShards"] >= 16
    stores = first["persistence"]["datastores"]
    assert {store["sql"]["databaseName"] for store in stores.values()} == {"temporal", "temporal_visibility"}
    assert stores["default"]["sql"]["connectAddr"] == "127.0.0.1:5999"


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    plan = layout.Plan(
        tmp_path / "temporal", URL, 1, 2, layout.roles(range(20_000, 20_030)), "server", "tool", "cli", None, {}
    )
    plan.write(tmp_path / "plan.json")
    assert layout.Plan.read(tmp_path / "plan.json") == plan


def test_missing_programs_are_named_together_with_where_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(Missing, match=r"temporal-server and temporal-sql-tool .*releases.*TEMPORAL_SERVER_BIN="):
        find({"PATH": str(tmp_path)})
    with pytest.raises(Missing, match="TEMPORAL_SERVER_BIN=/nowhere/server is no program"):
        find({"PATH": str(tmp_path), "TEMPORAL_SERVER_BIN": "/nowhere/server"})


async def _never() -> None:
    raise NotReady("never")


@asynccontextmanager
async def backend(answer: bytes, *, hangs_up: bool = False) -> AsyncIterator[int]:
    """A server that gives one answer, or closes the connection as soon as it has been asked."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.read(1 << 16)
        if request and not hangs_up:
            body = answer + request.partition(b"\r\n\r\n")[2]
            writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_requests_go_in_turn_to_those_that_are_ready() -> None:
    async with AsyncExitStack() as exits:
        one, two, gone = [await exits.enter_async_context(backend(name)) for name in (b"1", b"2", b"gone")]
        targets = [listener(one), listener(two), (gone, _never)]
        shop = await exits.enter_async_context(HttpBalancer(targets))
        http = await exits.enter_async_context(httpx.AsyncClient(trust_env=False))
        await eventually(lambda: not shop._ready[gone])  # the first questions are answered
        answers = {(await http.post(f"http://127.0.0.1:{shop.port}/", content=b"hi")).text for _ in range(6)}
    assert answers == {"1hi", "2hi"}


async def test_a_request_that_was_not_answered_is_tried_elsewhere() -> None:
    async with AsyncExitStack() as exits:
        dying = await exits.enter_async_context(backend(b"", hangs_up=True))
        well = await exits.enter_async_context(backend(b"well"))
        shop = await exits.enter_async_context(HttpBalancer([listener(dying), listener(well)]))
        http = await exits.enter_async_context(httpx.AsyncClient(trust_env=False))
        for _ in range(4):
            assert (await http.get(f"http://127.0.0.1:{shop.port}/")).text == "well"


async def test_connections_are_handed_on_to_who_listens() -> None:
    async with AsyncExitStack() as exits:
        well = await exits.enter_async_context(backend(b"well"))
        [nobody] = free_ports(1)
        through = await exits.enter_async_context(Balancer([(nobody, _never), listener(well)]))
        http = await exits.enter_async_context(httpx.AsyncClient(trust_env=False))
        for _ in range(3):
            assert (await http.get(f"http://127.0.0.1:{through.port}/")).text == "well"


def visit(pressed: float, answered: float, fulfilled: float | None) -> Visit:
    return Visit("key", pressed, answered, paid=answered, fulfilled=fulfilled)


def test_a_late_a_lost_and_a_refused_order_are_each_a_miss() -> None:
    assert is_met(Crowd([visit(0, 1, 2)]))
    assert not is_met(Crowd([visit(0, LATE + 0.1, LATE + 0.2)])), "late to its session"
    assert not is_met(Crowd([visit(0, 1, 1 + LATE + 0.1)])), "late to its goods"
    assert not is_met(Crowd([visit(0, 1, None)])), "never fulfilled"
    refused = visit(0, 1, 2)
    refused.failures.append("Buy: 503")
    assert not is_met(Crowd([refused]))


def test_processes_of_a_kind_are_counted_together() -> None:
    assert by_kind({"worker": 1.0, "worker-2": 2.0, "temporal/history-1": 3.0, "temporal/history-2": 4.0}) == {
        "worker": 3.0,
        "temporal/history": 7.0,
    }
