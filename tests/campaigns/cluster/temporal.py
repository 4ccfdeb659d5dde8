"""`python -m tests.campaigns.cluster.temporal PLAN`: Temporal's processes, and a balancer before its frontends.

One process group: who kills or freezes this kills or freezes all of them. A process of Temporal's that ends is started
again at once, as a service manager would. `layout.Plan.pids_file` says who is who.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import unquote, urlsplit

import asyncpg

from stack.errors import NotReady
from stack.probes import http_ok
from stack.process import bound_to_parent
from tests.campaigns.cluster.balance import Balancer, listener
from tests.campaigns.cluster.layout import Plan, Role, server_config, ui_config

_DEPLOY = Path(__file__).parents[3] / "deploy" / "temporal"
_DATABASES = ("temporal", "temporal_visibility")
_PAUSE = 0.1
_AGAIN = 0.5  # seconds until a process that ended is started again: no faster than a service manager


class Processes:
    """Starts each, again when it ends, until stopped."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._is_stopping = False

    def start(self, name: str, *argv: str) -> None:
        self._running[name] = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, preexec_fn=bound_to_parent(signal.SIGKILL)
        )
        draft = self._plan.pids_file.with_suffix(".draft")
        draft.write_text(json.dumps({name: process.pid for name, process in self._running.items()}))
        draft.replace(self._plan.pids_file)

    async def keep(self, name: str, *argv: str) -> None:
        while True:
            self.start(name, *argv)
            await asyncio.to_thread(self._running[name].wait)
            if self._is_stopping:
                return
            print(f"{name} ended with {self._running[name].returncode}; starting it again", flush=True)
            await asyncio.sleep(_AGAIN)

    def stop(self) -> None:
        self._is_stopping = True
        for process in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)


async def set_up_databases(plan: Plan) -> None:
    """Make both databases anew, by Temporal's own tool and the script of the compose file, unless that was done."""
    mark = plan.folder / "databases-are-made"
    if mark.exists():
        return
    connection = await asyncpg.connect(plan.database_url)
    try:
        for name in _DATABASES:
            await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    where = urlsplit(plan.database_url)
    host, port, user, password = where.hostname, where.port, where.username, where.password
    assert host is not None
    assert user is not None
    assert password is not None
    await _run(
        plan, "setup-schema.sh", SQL_PLUGIN="postgres12", SQL_HOST=host, SQL_PORT=str(port), SQL_USER=user,
        SQL_PASSWORD=unquote(password),
    )  # fmt: skip
    mark.touch()


async def set_up_namespace(plan: Plan) -> None:
    await _run(plan, "setup-namespace.sh", TEMPORAL_ADDRESS=f"127.0.0.1:{plan.port}", TEMPORAL_NAMESPACE="default")


async def _run(plan: Plan, script: str, **env: str) -> None:
    begun = time.monotonic()
    path = f"{plan.folder.parent / 'bin'}:{os.environ.get('PATH', '')}"
    process = await asyncio.create_subprocess_exec("sh", str(_DEPLOY / script), env={**os.environ, **env, "PATH": path})
    if await process.wait() != 0:
        raise SystemExit(f"{script} failed")
    print(f"{script} took {time.monotonic() - begun:.1f} s", flush=True)


def _lay_out_programs(plan: Plan) -> None:
    """By the names that the scripts know."""
    folder = plan.folder.parent / "bin"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "temporal-sql-tool").symlink_to(plan.sql_tool)
    (folder / "temporal").symlink_to(plan.cli)


def _server(plan: Plan, role: Role) -> tuple[str, ...]:
    folder = plan.folder.parent
    dynamic = folder / "dynamic.json"
    dynamic.write_text(json.dumps(plan.dynamic_config))
    config = folder / f"{role.name}.json"
    config.write_text(json.dumps(server_config(role, plan.roles, plan.database_url, dynamic)))
    config.chmod(0o600)
    return plan.server, "--config-file", str(config), "--allow-no-auth", "start", "--service", role.service


def _ui(plan: Plan, program: str) -> tuple[str, ...]:
    folder = plan.folder.parent / "ui"
    folder.mkdir(exist_ok=True)
    config = ui_config(plan.ui_port, f"127.0.0.1:{plan.port}", f"http://localhost:{plan.ui_port}")
    (folder / "cluster.yaml").write_text(json.dumps(config))
    return program, "--root", str(folder.parent), "--config", "ui", "--env", "cluster", "start"


async def run(plan: Plan) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    plan.ready_file.unlink(missing_ok=True)
    plan.folder.mkdir(mode=0o700, exist_ok=True)
    _lay_out_programs(plan)
    await set_up_databases(plan)
    processes = Processes(plan)
    wanted = {role.name: _server(plan, role) for role in plan.roles}
    if plan.ui is not None:
        wanted["ui"] = _ui(plan, plan.ui)
    keeping = [asyncio.create_task(processes.keep(name, *argv)) for name, argv in wanted.items()]
    try:
        async with Balancer([listener(role.port) for role in plan.frontends], plan.port):
            getting_ready = asyncio.create_task(_get_ready(plan))
            ended = asyncio.create_task(stop.wait())
            await asyncio.wait({getting_ready, ended}, return_when=asyncio.FIRST_COMPLETED)
            if getting_ready.done():
                getting_ready.result()
            await ended
    finally:
        plan.ready_file.unlink(missing_ok=True)
        processes.stop()
        await asyncio.gather(*keeping, return_exceptions=True)


async def _get_ready(plan: Plan) -> None:
    await set_up_namespace(plan)
    for role in plan.frontends:
        while True:
            with contextlib.suppress(NotReady):
                await http_ok(f"http://127.0.0.1:{role.http_port}/api/v1/namespaces/default")
                break
            await asyncio.sleep(_PAUSE)
    plan.ready_file.touch()


if __name__ == "__main__":
    asyncio.run(run(Plan.read(Path(sys.argv[1]))))
