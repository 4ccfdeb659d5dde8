"""The real parts of a stack, from its configuration."""

import sys
from functools import partial

from stack import temporal
from stack.config import PORT_FIELDS, StackConfig
from stack.environment import Credentials, python_environment, server_environment, urls
from stack.part import Part, http_ok
from stack.ports import free_ports
from stack.postgres import Cluster


def build(config: StackConfig, credentials: Credentials) -> list[Part]:
    """One `Part` for each that this stack runs itself. Raises `StackError` when a server is not installed."""
    makers = {
        "postgres": lambda: cluster(config).part(server_environment(config)),
        "temporal": lambda: temporal.part(
            data_dir=config.data_dir,
            port=config.temporal_port,
            ui_port=config.temporal_ui_port,
            # A port of the stack's own is free as well until its server listens.
            http_port=next(port for port in free_ports(len(PORT_FIELDS) + 1) if port not in config.ports().values()),
            env=server_environment(config),
            codec_endpoint=f"{urls(config)['gateway']}/codec" if config.encrypts else None,
        ),
        "setup": lambda: _python(config, credentials, "setup", "db", "setup", needs=("postgres",), once=True),
        "payment": lambda: _python(
            config, credentials, "payment", "payment_mock", needs=("setup",), port=config.payment_port
        ),
        "worker": lambda: _python(
            config,
            credentials,
            "worker",
            "worker",
            needs=("setup", "temporal"),
            port=config.worker_port,
            stop_within=15.0,
        ),
        "gateway": lambda: _python(
            config, credentials, "gateway", "api", needs=("setup", "temporal"), port=config.api_port
        ),
    }
    return [config.adapt(makers[name]()) for name in config.running]


def cluster(config: StackConfig) -> Cluster:
    """The embedded PostgreSQL's data."""
    return Cluster(config.data_dir, config.postgres_port, config.fsync)


def _python(
    config: StackConfig,
    credentials: Credentials,
    name: str,
    module: str,
    *arguments: str,
    needs: tuple[str, ...],
    port: int = 0,
    once: bool = False,
    stop_within: float = 10.0,
) -> Part:
    return Part(
        name=name,
        argv=(sys.executable, "-m", module, *arguments),
        env=python_environment(config, credentials, name),
        cwd=config.cwd,
        # For commands on this machine: the public address of a shop may lead elsewhere, or hide its operator's pages.
        url=f"http://localhost:{port}" if name == "gateway" else urls(config).get(name, ""),
        needs=needs,
        ready=None if once else partial(http_ok, f"http://127.0.0.1:{port}/readyz"),
        once=once,
        stop_within=stop_within,
    )
