"""The container engine of this machine: Docker with its compose plugin, or Debian's podman with podman-compose.

Podman gets a store and a configuration of its own below the campaign's folder, so that images which only stand in for
others never meet those of the machine. Docker's store is one: what stands in there is removed at the end.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HOW_TO_INSTALL = """No container engine was found. One of these two is needed, and is not installed by itself:
  Docker with its compose plugin, its daemon running (https://docs.docker.com/engine/install/); or
  podman with runc: on Debian and Ubuntu, as root, `apt-get install podman runc debootstrap`."""
PROBED_SECONDS = 20
_LIMITS = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
_ENOUGH = 4096  # of either, for what runs here


class NoEngine(Exception):
    """There is none, or none that works; the message says what to install."""


class CommandFailed(Exception):
    """A command of the engine failed; the message ends with the last lines it said."""


@dataclass(frozen=True)
class Engine:
    """`program` and `compose` are the beginnings of command lines; `environment` is what they are run with."""

    name: str
    program: tuple[str, ...]
    compose: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    waits: bool = True
    """Whether `compose up --wait` keeps the file's order and conditions by itself."""
    checks_health: bool = True
    """Whether the engine runs the health checks; podman leaves that to systemd."""
    has_own_store: bool = False
    """Whether its images are this campaign's alone."""

    def run(self, *arguments: str, check: bool = True, timeout: float = 900, stdin: Any = None) -> str:
        """The output of `docker ARGUMENTS`."""
        return self._command([*self.program, *arguments], check=check, timeout=timeout, stdin=stdin)

    def run_compose(self, *arguments: str, cwd: Path, check: bool = True, timeout: float = 900) -> str:
        return self._command([*self.compose, *arguments], check=check, timeout=timeout, cwd=cwd)

    def inspect(self, *names: str) -> list[dict[str, Any]]:
        return list(json.loads(self.run("inspect", *names))) if names else []

    def _command(
        self, argv: Sequence[str], *, check: bool, timeout: float, cwd: Path | None = None, stdin: Any = None
    ) -> str:
        try:
            done = subprocess.run(
                argv, cwd=cwd, env=self.environment, stdin=stdin or subprocess.DEVNULL, timeout=timeout,
                capture_output=True, text=True, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise CommandFailed(f"`{' '.join(argv[:6])} …` took more than {timeout:.0f} s") from None
        if check and done.returncode:
            said = "\n".join((done.stderr.strip() or done.stdout.strip()).splitlines()[-15:])
            raise CommandFailed(f"`{' '.join(argv[:6])} …` failed ({done.returncode}):\n{said}")
        return done.stdout


def find(folder: Path, wanted: str | None = None) -> Engine:
    """Docker, if it works; else podman. `wanted` names the one to take. Raises NoEngine.

    `folder` is where podman's configuration and store go.
    """
    tried: list[str] = []
    for name, make in {"docker": _docker, "podman": _podman}.items():
        if wanted in (None, name):
            engine = make(folder, tried)
            if engine:
                return engine
    raise NoEngine("\n".join([HOW_TO_INSTALL, *(f"Tried: {line}" for line in tried)]))


def _docker(_: Path, tried: list[str]) -> Engine | None:
    if shutil.which("docker") is None:
        tried.append("docker is not on PATH")
        return None
    engine = Engine("docker", ("docker",), ("docker", "compose"), dict(os.environ))
    for question in (("version",), ("compose", "version"), ("buildx", "version")):
        try:
            engine.run(*question, timeout=PROBED_SECONDS)
        except CommandFailed as error:
            tried.append(f"docker {' '.join(question)}: {str(error).splitlines()[-1]}")
            return None
    return engine


def _podman(folder: Path, tried: list[str]) -> Engine | None:
    if shutil.which("podman") is None:
        tried.append("podman is not on PATH")
        return None
    if find_spec("podman_compose") is None:
        tried.append("podman-compose is not in this environment: `make containers` installs it")
        return None
    environment = {**os.environ, **podman_configuration(folder.absolute())}
    # Podman's own `compose` subcommand and others may be about; the one that is pinned is ours.
    # A read-only root is one as with Docker: podman would lay writable memory over /run, and over what we mount there.
    compose = (sys.executable, "-m", "podman_compose", "--in-pod=false", "--podman-run-args=--read-only-tmpfs=false")
    return Engine("podman", ("podman",), compose, environment, False, _systemd_runs(), True)


def podman_configuration(folder: Path, limits: Mapping[str, int] | None = None) -> dict[str, str]:
    """Writes podman's files below `folder` and returns the variables that name them.

    Podman as root asks for a million files and processes: more than this process may have is refused by the kernel.
    Debian's first choice, crun, wants a cgroup of systemd's; runc does without.
    """
    may = limits or {name: resource.getrlimit(which)[1] for name, which in _LIMITS.items()}
    asked = [f"{name}={most}:{most}" for name in may if (most := _ENOUGH if may[name] < 0 else min(may[name], _ENOUGH))]
    runtime = f'runtime = "{"runc" if shutil.which("runc") else "crun"}"'
    files = {
        "containers.conf": f"[engine]\n{runtime}\n[containers]\ndefault_ulimits = {json.dumps(asked)}\n",
        "storage.conf": f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/store"\nrunroot = "{folder}/run"\n',
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return {
        "CONTAINERS_CONF": str(folder / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        "BUILDAH_FORMAT": "docker",  # the other format has no HEALTHCHECK
    }


def _systemd_runs() -> bool:
    return Path("/run/systemd/system").is_dir()
