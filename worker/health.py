"""The worker's probes: `GET /livez`, and `GET /readyz`, which says what it can do now."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Self

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from checkout.ids import TASK_QUEUE

INTERVAL = 2.0  # seconds between two looks
# A poll ends after a minute at the latest and is followed by the next.
SILENCE = 90.0
_FIRST_PAUSE = 0.1
_PATIENCE = timedelta(seconds=2)
_READ_LIMIT = 4096


class PollerWatch:
    """`watch` looks every `INTERVAL` seconds whether Temporal hears this worker ask for work.

    `trouble` says in a sentence why not. That Temporal is healthy is not enough: the namespace may be gone, or the
    worker's polls refused.
    """

    def __init__(self, client: Client, task_queue: str = TASK_QUEUE, silence: float = SILENCE) -> None:
        self._client, self._task_queue, self._silence = client, task_queue, silence
        self._heard, self._heard_at = 0, 0.0
        self.trouble: str | None = "The worker has not asked Temporal for work yet"

    async def look(self) -> None:
        request = DescribeTaskQueueRequest(
            namespace=self._client.namespace,
            task_queue=TaskQueue(name=self._task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
        try:
            answer = await self._client.workflow_service.describe_task_queue(request, timeout=_PATIENCE)
        except RPCError as error:
            self.trouble = f"Temporal does not answer: {error.status.name}"
            return
        own = [poll.last_access_time for poll in answer.pollers if poll.identity == self._client.identity]
        heard = max((at.ToNanoseconds() for at in own), default=0)
        # Whether it changes is judged by our clock: theirs may be minutes off.
        if heard != self._heard:
            self._heard, self._heard_at = heard, time.monotonic()
        is_heard = heard != 0 and time.monotonic() - self._heard_at < self._silence
        self.trouble = None if is_heard else "Temporal does not hear this worker ask for work"

    async def watch(self) -> None:
        pause = _FIRST_PAUSE
        while True:
            with contextlib.suppress(Exception):
                await self.look()
            await asyncio.sleep(pause)
            pause = INTERVAL if self.trouble is None else min(pause * 2, INTERVAL)


class HealthServer:
    """Answers two paths; a web framework for that would double the worker's start-up.

    `trouble` says what keeps the worker from working at the moment; None: nothing.
    """

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._host, self._port = host, port
        self.trouble: Callable[[], str | None] = lambda: "The worker is starting"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._answer, self._host, self._port, limit=_READ_LIMIT)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(OSError, ValueError):
            request = await asyncio.wait_for(reader.readline(), timeout=2)  # ValueError: longer than a request is
            method, _, rest = request.partition(b" ")
            path = rest.partition(b" ")[0]
            trouble = self.trouble() if path == b"/readyz" else None
            if method not in (b"GET", b"HEAD") or path not in (b"/livez", b"/readyz"):
                trouble = "There are GET /livez and GET /readyz"
            body = f"{trouble or 'ok'}\n".encode()
            status = b"503 Service Unavailable" if trouble else b"200 OK"
            head = b"HTTP/1.1 %b\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n"
            writer.write(head % (status, len(body)) + (b"" if method == b"HEAD" else body))
            await writer.drain()
