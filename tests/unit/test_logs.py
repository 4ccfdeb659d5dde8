"""Log lines for machines: what a line is about can be searched for."""

import json
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from api.middleware.last_words import LastWords
from api.waiting import Stopping
from checkout.ids import CHECKOUT_WORKFLOW, SETTLEMENT_WORKFLOW, new_refund_id
from runtime.logs import JsonFormatter, configure_logging

ORDER = "ord_" + "0" * 32


class Lines(logging.Handler):
    """What a process would print, parsed."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.found: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        assert "\n" not in line
        self.found.append(json.loads(line))


@pytest.fixture
def lines() -> Iterator[list[dict[str, Any]]]:
    handler = Lines()
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.INFO)  # not the attribute: loggers remember what they may say until this is called
    root.addHandler(handler)
    yield handler.found
    root.removeHandler(handler)
    root.setLevel(before)


def test_a_line_has_a_time_a_level_a_name_and_its_words(lines: list[dict[str, Any]]) -> None:
    logging.getLogger("worker").warning("größer als %d", 3)
    (line,) = lines
    assert line.pop("at").endswith("+00:00")
    assert line == {"level": "warning", "logger": "worker", "message": "größer als 3"}


def test_an_error_is_in_its_line_with_the_way_to_it(lines: list[dict[str, Any]]) -> None:
    try:
        raise ValueError("no")
    except ValueError:
        logging.getLogger("api").exception("It failed")
    assert lines[0]["error"].endswith("ValueError: no")
    assert "exc_info" not in lines[0]


def test_ids_that_the_words_name_are_fields(lines: list[dict[str, Any]]) -> None:
    about = {"event_id": "evt_12345678", "order_id": ORDER, "session_id": "cs_test_12345678"}
    logging.getLogger("api").info("Event %s of order %s: session %s, %s", *about.values(), "as text")
    assert about.items() <= lines[0].items()


def test_a_refund_of_ours_and_what_the_provider_calls_it_are_two_fields(lines: list[dict[str, Any]]) -> None:
    about = {"refund_id": new_refund_id(), "provider_refund_id": "re_12345678", "dispute_id": "du_12345678"}
    logging.getLogger("worker").info("Refund %s is %s there, dispute %s", *about.values())
    assert about.items() <= lines[0].items()


def test_what_a_line_is_given_besides_is_a_field_and_has_the_last_word(lines: list[dict[str, Any]]) -> None:
    extra = {"checkout_key": "abcde-12345", "order_id": "ord_of_the_extra"}
    logging.getLogger("api").info("Order %s", ORDER, extra=extra)
    assert extra.items() <= lines[0].items()


@pytest.mark.parametrize(
    ("kind", "workflow", "key"),
    [(CHECKOUT_WORKFLOW, "abcde-12345", "abcde-12345"), (SETTLEMENT_WORKFLOW, "settle:cs_test_1", None)],
)
def test_lines_of_workflows_and_steps_name_them(lines: list[dict[str, Any]], kind: str, workflow: str, key: str | None):
    """The shape is that of `temporalio.workflow.logger` and `temporalio.activity.logger`."""
    known = {"workflow_id": workflow, "workflow_type": kind, "namespace": "default", "attempt": 1}
    logger = logging.getLogger("temporalio.workflow")
    logger.info("It goes on", extra={"temporal_workflow": {**known, "run_id": "r"}})
    logger.info("It failed", extra={"temporal_activity": {**known, "activity_type": "fulfil_order"}})
    for line in lines:
        assert (line["workflow_id"], line["attempt"], line.get("checkout_key")) == (workflow, 1, key)
        assert not [name for name in line if name.startswith("temporal_")]
    assert lines[1]["activity_type"] == "fulfil_order"


async def test_a_failed_request_is_found_by_what_was_asked_for(lines: list[dict[str, Any]]) -> None:
    app = FastAPI()
    app.add_middleware(LastWords, stopping=Stopping())

    @app.get("/orders/{order_id}")
    async def order(order_id: str) -> None:
        raise ConnectionResetError("PostgreSQL is away")

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        assert (await client.get(f"/orders/{ORDER}")).status_code == 503
        await client.get("/orders/<script>")
    told = [line for line in lines if line["logger"] == "api"]
    assert [line.get("order_id") for line in told] == [ORDER, None]
    assert ORDER not in told[0]["message"]


def test_text_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        configure_logging("text")
        logging.getLogger("worker").info("Checkout with UUID %s succeeded!", "k1", extra={"order_id": ORDER})
    finally:
        root.handlers[:], root.level = handlers, level
    assert capsys.readouterr().err == "[INFO]: Checkout with UUID k1 succeeded!\n"
