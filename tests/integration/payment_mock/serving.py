"""Servers for these tests: the payment service and a webhook receiver, in this process or killable as their own."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn

from payment_mock.app import create_app
from payment_mock.protocol import LimitedHttp
from payment_mock.settings import load_settings
from stack.probes import free_ports
from tests.support.eventually import eventually

KEY = "sk_test_checkout_development"
SECRET = "whsec_checkout_development"
PATIENCE = 30.0


class _Server(uvicorn.Server):
    """Leaves signals to pytest."""

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


@contextlib.asynccontextmanager
async def serve(app: Any, port: int = 0, protocol: type = LimitedHttp) -> AsyncIterator[str]:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1, http=protocol)
        server = _Server(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        await eventually(lambda: server.started or task.done(), what="the service listening")
        if task.done():
            task.result()  # why it does not: another process may have taken the port by now
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await task


def free_port() -> int:
    return free_ports(1)[0]


@dataclass(frozen=True)
class Received:
    """One post to the webhook endpoint."""

    body: bytes
    signature: str
    at: float
    path: str

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event

    @property
    def type(self) -> str:
        return str(self.event["type"])

    @property
    def session_id(self) -> str | None:
        about: dict[str, Any] = self.event["data"]["object"]
        return about["id"] if about.get("object") == "checkout.session" else None


@dataclass
class Receiver:
    """A webhook endpoint that remembers what it was sent and answers as told."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    answer: Callable[[Received], int] = lambda _: 200
    gate: asyncio.Event | None = None
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        signature = dict(scope["headers"]).get(b"stripe-signature", b"").decode()
        got = Received(body, signature, time.time(), scope["path"])
        status = self.answer(got)
        async with self._news:
            self.received.append(got)
            self._news.notify_all()
        if self.gate is not None:
            await self.gate.wait()
        headers = [(b"location", self.url.encode())] if 300 <= status < 400 else []
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"ok"})

    def about(self, session_id: str) -> list[Received]:
        return [one for one in self.received if session_id in one.body.decode()]

    async def wait_for(self, session_id: str, count: int = 1, type_: str | None = None) -> list[Received]:
        """The posts about a session (of a type), once there are `count` of them."""

        def found() -> list[Received]:
            return [one for one in self.about(session_id) if type_ is None or one.type == type_]

        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(lambda: len(found()) >= count)
        return found()


@dataclass
class Process:
    """`python -m payment_mock` as a process of its own, to be killed."""

    process: asyncio.subprocess.Process
    url: str

    async def kill(self) -> None:
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
        await self.process.wait()


async def start_process(database_url: str, port: int, webhook_url: str, **environment: str) -> Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "payment_mock",
        env={
            "PATH": os.environ["PATH"],
            "DATABASE_URL": database_url,
            "CHECKOUT_PAYMENT_PORT": str(port),
            "PAYMENT_WEBHOOK_URL": webhook_url,
            **environment,
        },
    )  # fmt: skip
    return Process(process, f"http://127.0.0.1:{port}")


async def until_ready(url: str, path: str = "/readyz") -> None:
    async with httpx.AsyncClient(base_url=url, verify=False) as client:

        async def ready() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return (await client.get(path)).status_code == 200
            return False

        await eventually(ready, within=60)  # a whole Python process may have to start


@contextlib.asynccontextmanager
async def in_process(
    database_url: str, webhook_url: str, *, protocol: type = LimitedHttp, **settings: Any
) -> AsyncIterator[str]:
    """The service in this process, ready to use."""
    port = free_port()
    ours = {
        "DATABASE_URL": database_url,
        "CHECKOUT_PAYMENT_PORT": port,
        "PAYMENT_WEBHOOK_URL": webhook_url,
        "PAYMENT_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "PAYMENT_POLL_INTERVAL": 0.2,
    }
    loaded = load_settings(**{**ours, **settings})
    async with serve(create_app(loaded), port, protocol) as url:
        await until_ready(url)
        yield url
