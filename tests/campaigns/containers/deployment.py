"""The compose file as a running project: started in its order, looked at, killed, stopped, taken down."""

import base64
import re
import secrets
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from stack.probes import free_ports
from tests.campaigns.containers.engine import CommandFailed, Engine

PROJECT = "checkout-containers"
START_SECONDS = 180
PORTS = ("CHECKOUT_API_PORT", "CHECKOUT_PAYMENT_PORT", "CHECKOUT_TEMPORAL_PORT", "CHECKOUT_TEMPORAL_UI_PORT",
         "CHECKOUT_POSTGRES_PORT")  # fmt: skip
# Every crash is the kernel's SIGKILL of the container's first process. The engine's own `kill` is a person's wish,
# after which Docker does not start the container again.
KILL = "import os, sys; os.kill(int(sys.argv[1]), 9)"


def environment_file(example: str, ports: Mapping[str, int]) -> dict[str, str]:
    """Values for what `deploy/compose.env.example` leaves empty, and the ports: what a person writes into `.env`."""
    values = {name: secrets.token_urlsafe(24) for name in re.findall(r"^([A-Z_]+)=$", example, re.MULTILINE)}
    values["CHECKOUT_PAYLOAD_KEYS"] = "k1:" + base64.b64encode(secrets.token_bytes(32)).decode()
    return values | {name: str(port) for name, port in ports.items()}


def in_order(services: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The services, each after those it depends on."""
    order: list[str] = []

    def visit(name: str) -> None:
        for dependency in services[name].get("depends_on", {}):
            visit(dependency)
        if name not in order:
            order.append(name)

    for name in services:
        visit(name)
    return order


class Deployment:
    """One project of the compose file. `services` are those that are to run here, as the file has them."""

    def __init__(self, engine: Engine, root: Path, work: Path, overrides: tuple[Path, ...] = ()) -> None:
        self.engine, self.root, self.work = engine, root, work
        example = (root / "deploy" / "compose.env.example").read_text()
        self.values = environment_file(example, dict(zip(PORTS, free_ports(len(PORTS)), strict=True)))
        self._env = work / "compose.env"
        self._env.touch(mode=0o600)
        self._env.write_text("".join(f"{name}={value}\n" for name, value in self.values.items()))
        files = [part for path in (root / "docker-compose.yml", *overrides) for part in ("-f", str(path))]
        self._options = ["-p", PROJECT, "--env-file", str(self._env), *files]
        self.file: dict[str, Any] = yaml.safe_load((root / "docker-compose.yml").read_text())
        left_out = {name for path in overrides for name, service in yaml.safe_load(path.read_text())["services"].items()
                    if "profiles" in service}  # fmt: skip
        self.services = {name: service for name, service in self.file["services"].items() if name not in left_out}

    def url(self, port: str) -> str:
        return f"http://127.0.0.1:{self.values[port]}"

    def compose(self, *arguments: str, check: bool = True, timeout: float = 900) -> str:
        return self.engine.run_compose(*self._options, *arguments, cwd=self.root, check=check, timeout=timeout)

    # ---- Up and down ----

    def up(self) -> None:
        """As `docker compose up --wait`. Raises CommandFailed with what is not well."""
        if self.engine.waits:
            self.compose("up", "--detach", "--wait", "--no-build", timeout=START_SECONDS)
            return
        for name in in_order(self.services):  # podman-compose: the conditions of `depends_on` are kept here
            self.compose("up", "-d", "--no-deps", "--no-build", name)
            self.until_settled(name)

    def until_settled(self, name: str, within: float = START_SECONDS) -> None:
        """Until a job has ended well or a service is healthy. Raises CommandFailed."""
        deadline = time.monotonic() + within
        while not self._is_settled(name):
            if time.monotonic() > deadline:
                raise CommandFailed(f"{name} did not become well in {within:.0f} s:\n{self.logs(name, 15)}")
            time.sleep(0.5)

    def _is_settled(self, name: str) -> bool:
        state = self.state(name)
        if self.is_job(name):
            return state.get("Status") == "exited" and state.get("ExitCode") == 0
        return bool(state.get("Running")) and health(state) == "healthy"

    def is_job(self, name: str) -> bool:
        return str(self.services[name].get("restart", "")).startswith("on-failure")

    @property
    def long_running(self) -> list[str]:
        return [name for name in in_order(self.services) if not self.is_job(name)]

    def down(self, *, with_data: bool = False) -> None:
        self.compose("down", *(["--volumes"] if with_data else []), timeout=180)

    # ---- A container ----

    def container(self, name: str) -> dict[str, Any]:
        """What the engine knows of a service's one container; raises CommandFailed when there is none."""
        label = f"com.docker.compose.service={name}"
        listed = self.engine.run(
            "ps", "--all", "--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}", "--filter",
            f"label={label}",
        )  # fmt: skip
        if not listed.split():
            raise CommandFailed(f"{name} has no container")
        return self.engine.inspect(listed.split()[0])[0]

    def state(self, name: str) -> dict[str, Any]:
        with suppress(CommandFailed):
            return dict(self.container(name)["State"])
        return {}

    def logs(self, name: str, lines: int = 40) -> str:
        with suppress(CommandFailed):
            argv = [*self.engine.program, "logs", "--tail", str(lines), self.container(name)["Id"]]
            done = subprocess.run(argv, env=self.engine.environment, capture_output=True, text=True, check=False)
            return done.stdout + done.stderr
        return ""

    def crash(self, name: str) -> None:
        """SIGKILL to its first process, from outside: the machine's memory ran out, say."""
        pid = str(self.state(name)["Pid"])
        image = self.file["services"]["worker"]["image"]
        options = ["--rm", "--pid=host", "--network=none", "--user=0", "--entrypoint=python", "--cap-add=KILL"]
        self.engine.run("run", *options, image, "-c", KILL, pid)

    @contextmanager
    def health_checked(self, every: float = 2.0) -> Iterator[None]:
        """Where the engine leaves health checks to systemd and there is none, they are run here meanwhile."""
        if self.engine.checks_health:
            yield
            return
        stop = threading.Event()

        def tick() -> None:
            while not stop.wait(every):
                for name in self.long_running:
                    with suppress(CommandFailed):
                        self.engine.run("healthcheck", "run", self.container(name)["Id"], check=False, timeout=15)

        ticker = threading.Thread(target=tick, daemon=True)
        ticker.start()
        try:
            yield
        finally:
            stop.set()
            ticker.join(timeout=30)


def health(state: Mapping[str, Any]) -> str:
    """Docker calls it Health, podman before version 5 Healthcheck."""
    found = state.get("Health") or state.get("Healthcheck") or {}
    return str(found.get("Status", ""))


def moment(text: str) -> datetime:
    """An engine's time with nanoseconds."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d*", r"\1", text.replace("Z", "+00:00")))
