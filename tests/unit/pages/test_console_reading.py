"""What the console's pages and actions read: of the payment service, and of the shop."""

import asyncio
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from api.board import SPANS, Board, Charts, Span
from api.problems import Problem
from api.web.console import actions
from runtime.settings import Settings


@pytest.mark.parametrize(
    "wrong", [{"id": 1}, {"id": None}, {"id": "evt_1\n"}, {"id": "x" * 300}, {"type": {}}, {"type": None}], ids=repr
)
async def test_an_event_that_is_none_is_never_taken_again(
    monkeypatch: pytest.MonkeyPatch, wrong: dict[str, Any]
) -> None:
    session = {"id": "cs_1", "client_reference_id": "k"}
    event = {"id": "evt_1", "type": "checkout.session.completed", "data": {"object": session}} | wrong

    def answer(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"data": [event], "has_more": False})

    async def find(_order_id: str) -> Any:
        return SimpleNamespace(session=SimpleNamespace(session_id="cs_1"), checkout_key="k")

    monkeypatch.setattr(actions, "client_options", lambda _settings: {"transport": httpx.MockTransport(answer)})
    gateway: Any = SimpleNamespace(
        settings=Settings(_env_file=None), orders=SimpleNamespace(find=find), temporal=None, engine=None
    )
    with pytest.raises(Problem) as refused:
        await actions.resend("ord_1", gateway)
    assert (refused.value.status, refused.value.code) == (502, "payment-unreachable")


async def test_a_slow_week_keeps_nobody_waiting_who_looks_at_the_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    charts: Any = SimpleNamespace()

    async def read(_self: Board, span: Span) -> Charts:
        if span.name == "week":
            await asyncio.Event().wait()
        return charts

    monkeypatch.setattr(Board, "_read", read)
    unused: Any = None
    board = Board(unused, unused)
    week = asyncio.create_task(board.charts(SPANS["week"]))
    await asyncio.sleep(0)
    assert await asyncio.wait_for(board.charts(SPANS["hour"]), 5) is charts
    week.cancel()
