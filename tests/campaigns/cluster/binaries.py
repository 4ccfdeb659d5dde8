"""Temporal's own programs, ready to run: from settings, else from the PATH."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stack import temporal

WHERE = (
    "Take them from a release of Temporal's server (https://github.com/temporalio/temporal/releases, for example "
    "temporal_1.32.0_linux_amd64.tar.gz), and put them on the PATH or name them: "
    "make cluster TEMPORAL_SERVER_BIN=/path/to/temporal-server TEMPORAL_SQL_TOOL_BIN=/path/to/temporal-sql-tool. "
    "The web UI is optional: temporal-ui-server, of https://github.com/temporalio/ui-server/releases "
    "(TEMPORAL_UI_SERVER_BIN)."
)


WHERE_POSTGRES = (
    "Temporal's SQL visibility needs a PostgreSQL with its contrib modules (btree_gin): the embedded one has none. "
    "Install one (on Debian and Ubuntu: apt install postgresql), or name the folder of its programs: "
    "make cluster POSTGRES_BIN_DIR=/path/to/bin."
)


class Missing(Exception):
    """A program is not to be found. The message says which, and where it is to be had."""


@dataclass(frozen=True)
class Binaries:
    """`ui` is None where there is no web UI; `cli` is the one that `make up` runs; `postgres` a folder of programs."""

    server: Path
    sql_tool: Path
    cli: Path
    ui: Path | None
    postgres: Path


def find(environ: Mapping[str, str] = os.environ) -> Binaries:
    """Raises `Missing`."""
    server = _find(environ, "TEMPORAL_SERVER_BIN", "temporal-server")
    sql_tool = _find(environ, "TEMPORAL_SQL_TOOL_BIN", "temporal-sql-tool")
    missing = [name for name, found in (("temporal-server", server), ("temporal-sql-tool", sql_tool)) if not found]
    if server is None or sql_tool is None:
        raise Missing(f"{' and '.join(missing)} not found. {WHERE}")
    ui = _find(environ, "TEMPORAL_UI_SERVER_BIN", "temporal-ui-server")
    return Binaries(server, sql_tool, temporal.program(), ui, _postgres(environ))


def _postgres(environ: Mapping[str, str]) -> Path:
    """The newest with `btree_gin`. Raises `Missing`."""
    given = environ.get("POSTGRES_BIN_DIR", "").strip()
    installed = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), reverse=True
    )
    for folder in [Path(given)] if given else installed:
        config = folder / "pg_config"
        if (folder / "initdb").exists() and _has_gin(config):
            return folder
    raise Missing(WHERE_POSTGRES)


def _has_gin(config: Path) -> bool:
    """By the layout of its installation: `share/extension` lies beside `bin`, or below `/usr/share` on Debian."""
    version = config.parent.parent.name
    places = (config.parent.parent / "share", Path("/usr/share/postgresql") / version)
    return any((place / "extension" / "btree_gin.control").exists() for place in places)


def _find(environ: Mapping[str, str], setting: str, name: str) -> Path | None:
    """Raises `Missing` when the setting names what is no program."""
    given = environ.get(setting, "").strip()
    if given and shutil.which(given, path=environ.get("PATH")) is None:
        raise Missing(f"{setting}={given} is no program that can be run. {WHERE}")
    found = shutil.which(given or name, path=environ.get("PATH"))
    return Path(found).absolute() if found else None
