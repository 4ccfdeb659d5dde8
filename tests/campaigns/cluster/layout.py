"""What a cluster consists of, as data: its processes, their ports, and the configuration file of each. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SHARDS = 16
# Two of each that work passes through: one of a kind cannot be restarted without an outage. The fourth, Temporal's own
# workflows (schedules among them), is worked at by whoever runs, and waits meanwhile.
SERVICES = ("history", "history", "matching", "matching", "frontend", "frontend", "worker")
_DATABASES = {"default": ("temporal", 10), "visibility": ("temporal_visibility", 3)}
"""By store: the database and how many connections each process may have to it."""


@dataclass(frozen=True)
class Role:
    """One process of Temporal's server. `http_port`: of a frontend's HTTP API."""

    name: str
    service: str
    port: int
    membership_port: int
    http_port: int = 0


def roles(ports: Sequence[int]) -> list[Role]:
    """`history-1`, `history-2`, … with ports taken from `ports`, three for each. Raises `ValueError` when too few."""
    seen: dict[str, int] = {}
    left = iter(ports)
    result = []
    for service in SERVICES:
        seen[service] = seen.get(service, 0) + 1
        try:
            numbers = [next(left) for _ in range(3)]
        except StopIteration:
            raise ValueError(f"{3 * len(SERVICES)} ports are needed") from None
        http_port = numbers[2] if service == "frontend" else 0
        result.append(Role(f"{service}-{seen[service]}", service, numbers[0], numbers[1], http_port))
    return result


def server_config(role: Role, everybody: Sequence[Role], database_url: str, dynamic_config: Path) -> dict[str, Any]:
    """The configuration file of one process, as its releases document it. (JSON is YAML.)

    `database_url` says where PostgreSQL is and who logs in; the databases are Temporal's own two.
    """
    address = urlsplit(database_url)
    datastores = {
        store: {
            "sql": {
                "pluginName": "postgres12",
                "databaseName": database,
                "connectAddr": f"{address.hostname}:{address.port}",
                "connectProtocol": "tcp",
                "user": address.username,
                "password": address.password,
                "maxConns": connections,
                "maxIdleConns": connections,
                "maxConnLifetime": "1h",
            }
        }
        for store, (database, connections) in _DATABASES.items()
    }
    # A process tells the others its port when it joins them, so two of a service may have different ones.
    first = {one.service: one for one in reversed(everybody)} | {role.service: role}
    return {
        "log": {"stdout": True, "level": "warn"},
        "persistence": {
            "numHistoryShards": SHARDS,
            "defaultStore": "default",
            "visibilityStore": "visibility",
            "datastores": datastores,
        },
        "global": {"membership": {"maxJoinDuration": "30s", "broadcastAddress": "127.0.0.1"}},
        "services": {one.service: {"rpc": _rpc(one)} for one in first.values()},
        "clusterMetadata": {
            "enableGlobalNamespace": False,
            "failoverVersionIncrement": 10,
            "masterClusterName": "active",
            "currentClusterName": "active",
            "clusterInformation": {
                "active": {
                    "enabled": True,
                    "initialFailoverVersion": 1,
                    "rpcName": "frontend",
                    "rpcAddress": f"127.0.0.1:{first['frontend'].port}",
                }
            },
        },
        "dcRedirectionPolicy": {"policy": "noop"},
        "dynamicConfigClient": {"filepath": str(dynamic_config), "pollInterval": "10s"},
    }


def _rpc(role: Role) -> dict[str, Any]:
    rpc: dict[str, Any] = {
        "grpcPort": role.port,
        "membershipPort": role.membership_port,
        "bindOnIP": "127.0.0.1",
    }
    return rpc | ({"httpPort": role.http_port} if role.http_port else {})


def ui_config(port: int, frontend: str, origin: str) -> dict[str, Any]:
    """Of the web UI's server."""
    return {
        "temporalGrpcAddress": frontend,
        "host": "127.0.0.1",
        "port": port,
        "enableUi": True,
        "defaultNamespace": "default",
        "disableNewsFetch": True,
        "cors": {"allowOrigins": [origin]},
    }


@dataclass(frozen=True)
class Plan:
    """All that the process which runs a cluster has to know (`tests.campaigns.cluster.temporal`)."""

    folder: Path
    """Temporal's data of this machine. Empty: the databases are made anew."""
    database_url: str
    port: int
    """Where the cluster answers: a balancer over its frontends."""
    ui_port: int
    roles: list[Role]
    server: str
    sql_tool: str
    cli: str
    ui: str | None
    dynamic_config: Mapping[str, Any]

    @property
    def frontends(self) -> list[Role]:
        return [role for role in self.roles if role.service == "frontend"]

    @property
    def pids_file(self) -> Path:
        return self.folder.parent / "temporal.pids"

    @property
    def ready_file(self) -> Path:
        return self.folder.parent / "temporal.ready"

    def write(self, path: Path) -> None:
        plain = vars(self) | {"folder": str(self.folder), "roles": [vars(role) for role in self.roles]}
        path.write_text(json.dumps(plain))

    @classmethod
    def read(cls, path: Path) -> "Plan":
        plain = json.loads(path.read_text())
        return cls(**plain | {"folder": Path(plain["folder"]), "roles": [Role(**role) for role in plain["roles"]]})
