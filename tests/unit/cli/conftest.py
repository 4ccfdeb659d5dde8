"""A shop and a payment service that are real over HTTP and scripted behind it."""

import json
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner, Result

from cli.main import app

AUDIT = {
    "ok": True,
    "checked_at": "2026-11-22T12:00:00Z",
    "orders": 3,
    "invariants": [{"number": 1, "name": "No order has two charges", "ok": True, "violations": [], "checked": 3}],
    "outcomes": {"fulfilled": 2, "cancelled": 1},
}
ORDER_ID = "ord_" + "0" * 32
SESSION_ID = "cs_test_one"
TOKEN = "operator-token-of-the-test"
BOUGHT = {
    "checkout_key": "k1",
    "order_id": ORDER_ID,
    "session_id": SESSION_ID,
    "payment_url": f"http://localhost/payment/{SESSION_ID}",
    "amount_total": 2450,
    "currency": "usd",
    "expires_at": "2026-11-22T12:00:00Z",
    "something_new": True,
}


def order(status: str = "awaiting_payment", **more: Any) -> dict[str, Any]:
    return {
        "order_id": ORDER_ID,
        "status": status,
        "reason": None,
        "lines": [{"sku": "pen", "quantity": 2, "unit_amount": 1000}],
        "amount_total": 2450,
        "currency": "usd",
        "payment": {"session_id": SESSION_ID, "status": "open"},
        "dispatch": {"progress": 0.0},
        "timeline": [{"seq": 1, "kind": "opened", "at": "2026-11-22T11:24:08.123Z", "data": {}}],
        **more,
    }


class Scripted:
    """Answers `(method, path)` with what was planned for it, the last one for ever. Records every request."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str], bytes]] = []
        self._plans: dict[tuple[str, str], deque[tuple[int, Any, dict[str, str]]]] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                path = urlsplit(self.path).path
                outer.requests.append((self.command, self.path, dict(self.headers.items()), body))
                plan = outer._plans.get((self.command, path))
                headers: dict[str, str] = {}
                if not plan:
                    problem = {"title": "Nothing here", "detail": path, "code": "not-found"}
                    status, document = 404, problem
                else:
                    status, document, headers = plan.popleft() if len(plan) > 1 else plan[0]
                if status == 0:  # the reply is lost
                    self.close_connection = True
                    self.connection.shutdown(2)
                    return
                payload = b"" if document is None else json.dumps(document).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(payload)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(payload)

            do_GET = do_POST = do_PUT = _answer  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def plan(self, method: str, path: str, status: int, document: Any = None, **headers: str) -> None:
        spelled = {name.replace("_", "-"): value for name, value in headers.items()}
        self._plans.setdefault((method, path), deque()).append((status, document, spelled))

    def sent(self, method: str, path: str) -> list[tuple[dict[str, str], bytes]]:
        return [(head, body) for verb, where, head, body in self.requests if (verb, where) == (method, path)]

    def close(self) -> None:
        """Stop listening. May be called twice, and while a request is answered."""
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def scripted() -> Iterator[Scripted]:
    """The gateway and, on the same port, the payment service."""
    server = Scripted()
    yield server
    server.close()


@pytest.fixture
def checkout(scripted: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """`checkout("buy", "pen")` runs the command against `shop`, in an empty directory of its own."""
    monkeypatch.chdir(tmp_path)
    environment = {
        "CHECKOUT_DATA_DIR": str(tmp_path / "data"),
        "CHECKOUT_API_PORT": scripted.url.rpartition(":")[2],
        "STRIPE_API_BASE": scripted.url,
        "CHECKOUT_ADMIN_TOKEN": TOKEN,
        "COLUMNS": "200",
    }

    def run(*arguments: str, input: str | None = None, **more: str) -> Result:
        return CliRunner().invoke(app, list(arguments), input=input, env={**environment, **more})

    return run


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests may have settings of their own; they are not what is tested."""
    for name in list(os.environ):
        if name.startswith(("CHECKOUT_", "STRIPE_", "PAYMENT_", "TEMPORAL_", "DATABASE_URL")):
            monkeypatch.delenv(name)
