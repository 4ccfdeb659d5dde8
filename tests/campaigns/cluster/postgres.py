"""Temporal's own PostgreSQL: an installed one, as the embedded one lacks an index method that SQL visibility needs."""

from dataclasses import dataclass
from pathlib import Path

from stack.errors import ProgramMissing
from stack.postgres import Cluster


@dataclass(frozen=True)
class InstalledPostgres(Cluster):
    """Run like the embedded one, with the programs of `bin_dir`."""

    bin_dir: Path = Path("/usr/bin")

    def program(self, name: str) -> Path:
        path = self.bin_dir / name
        if not path.exists():
            raise ProgramMissing(f"There is no {name} in {self.bin_dir}.")
        return path
