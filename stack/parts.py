"""The real parts of a stack, from its configuration."""

import sys
from functools import partial

from stack import temporal
from stack.config import PORTS, Credentials, StackConfig, python_environment, server_environment
from stack.part import Part, http_ok
from stack.postgres import Cluster


def build(config: StackConfig, credentials: Credentials) -> list[Part]:
    """One `Part` for each that this stack runs itself. Raises `StackError` when a server is not installed."""
    ours = partial(_python, config, credentials)
    makers = {
        "postgres": lambda: cluster(config).part(server_environment(config)),
        "temporal": lambda: temporal.part(config),
        "setup": lambda: ours("setup", "db", "setup", needs=("postgres",)),
        "payment": lambda: ours("payment", "payment_mock", needs=("setup",)),
        "worker": lambda: ours("worker", "worker", needs=("setup", "temporal"), stop_within=15.0),
        "gateway": lambda: ours("gateway", "api", needs=("setup", "temporal")),
    }
    return [config.adapt(makers[name]()) for name in config.running]


def cluster(config: StackConfig) -> Cluster:
    """The embedded PostgreSQL's data."""
    return Cluster(config.data_dir, config.settings.postgres_port, config.fsync)


def _python(
    config: StackConfig,
    credentials: Credentials,
    name: str,
    *module: str,
    needs: tuple[str, ...],
    stop_within: float = 10.0,
) -> Part:
    """`python -m module`: a service with a port, or a task without one."""
    ports = [getattr(config.settings, field) for field in PORTS[name]]
    # For commands on this machine: the public address of a shop may lead elsewhere, or hide its operator's pages.
    urls = config.urls | {"gateway": f"http://localhost:{config.settings.api_port}"}
    return Part(
        name=name,
        argv=(sys.executable, "-m", *module),
        env=python_environment(config, credentials, name),
        cwd=config.cwd,
        url=urls.get(name, ""),
        needs=needs,
        ready=partial(http_ok, f"http://127.0.0.1:{ports[0]}/readyz") if ports else None,
        once=not ports,
        stop_within=stop_within,
    )
