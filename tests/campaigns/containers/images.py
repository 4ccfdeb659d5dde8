"""The images that `docker-compose.yml` names: pulled, or stood in for by ones made here, under the same names.

A stand-in is Debian (by debootstrap) with the program in question behind the folders, user and entrypoint of the real
image. What it cannot show is told in the report.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stack.errors import ProgramMissing
from stack.temporal import program
from tests.campaigns.containers.engine import CommandFailed, Engine

HERE = Path(__file__).parent / "stand_ins"
LABEL = "stands-in.recipe"
PULL_SECONDS = 600
# The release of Debian that has each major version of PostgreSQL.
POSTGRESQL_OF = {"15": "bookworm", "17": "trixie", "18": "forky"}
# What Temporal's images have of Alpine and our health checks use.
LIKE_ALPINE = ("netcat-openbsd", "curl", "ca-certificates")
DEVELOPMENT_SERVER = HERE / "development-server.yml"

Say = Callable[[str], None]


class CannotStandIn(Exception):
    """An image can be neither pulled nor made; the message says what is missing."""


@dataclass(frozen=True)
class Recipe:
    """How an image is stood in for: Debian's `packages` of a `suite`, ready `binaries`, then a Containerfile."""

    containerfile: str
    suite: str
    packages: tuple[str, ...]
    shows_not: str
    binaries: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Image:
    """An image of the compose file, and how it was come by."""

    name: str
    origin: Literal["pulled", "present", "stand-in"]
    note: str = ""
    without: tuple[str, ...] = ()
    """Programs that its stand-in should have and that are nowhere."""


def recipe(image: str) -> Recipe:
    """The recipe for an image's name, such as `docker.io/library/postgres:18.6-bookworm`. Raises CannotStandIn."""
    repository, _, tag = image.rpartition(":")
    match repository.removeprefix("docker.io/").removeprefix("library/"):
        case "python":
            packages = ("python3", "python3-venv", "python3-pip", "python-is-python3", "ca-certificates")
            return Recipe("python", "bookworm", packages, "Debian's Python, not that of Docker Hub's image")
        case "postgres":
            major = tag.partition(".")[0]
            suite = POSTGRESQL_OF.get(major)
            if suite is None:
                raise CannotStandIn(f"Debian has no PostgreSQL {major}")
            note = "Debian's PostgreSQL behind an entrypoint of the test's own, not the image's script"
            packages = (f"postgresql-{major}", "locales")
            return Recipe("postgres", suite, packages, note, arguments=(f"MAJOR={major}",))
        case "temporalio/server":
            note = "a release's binary behind an entrypoint of the test's own, on Debian, not Alpine"
            return Recipe("server", "bookworm", LIKE_ALPINE, note, ("temporal-server", "temporal"))
        case "temporalio/admin-tools":
            note = "releases' binaries on Debian, not Alpine"
            return Recipe("admin-tools", "bookworm", LIKE_ALPINE, note, ("temporal-sql-tool", "temporal"))
        case "temporalio/ui":
            note = "a release's binary with a configuration of the test's own, on Debian, not Alpine"
            return Recipe("ui", "bookworm", LIKE_ALPINE, note, ("temporal-ui-server",))
    raise CannotStandIn("there is no recipe for it")


def binary(name: str, environ: Mapping[str, str]) -> Path | None:
    """A ready program: the one that a setting names (TEMPORAL_SERVER_BIN, as for `make cluster`), else on PATH."""
    given = environ.get(f"{name.upper().replace('-', '_')}_BIN") or name
    if found := shutil.which(given, path=environ.get("PATH")):
        return Path(found)
    if name == "temporal":  # the command line is in this environment
        with suppress(ProgramMissing):
            return program()
    return None


def others(services: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """The images of the compose file that are not built from this repository."""
    return {service["image"] for service in services.values() if "build" not in service}


def mirror(environ: Mapping[str, str]) -> list[str]:
    """Where Debian comes from: DEBIAN_MIRROR, else where this machine's apt gets it, else debootstrap's own choice."""
    if environ.get("DEBIAN_MIRROR"):
        return [environ["DEBIAN_MIRROR"]]
    if shutil.which("apt-get"):
        asked = ["apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)", "Created-By: Packages"]
        listed = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
        return mirrors_of(listed)[:1]
    return []


def mirrors_of(listed: str) -> list[str]:
    """The archives of Debian itself among lines of `ORIGIN URI`, security's aside."""
    found = re.findall(r"^Debian (\S+)$", listed, re.MULTILINE)
    return list(dict.fromkeys(uri.rstrip("/") for uri in found if "security" not in uri))


@dataclass(frozen=True)
class Images:
    """How images are come by in this run."""

    engine: Engine
    work: Path
    say: Say
    pull: bool = True
    stand_in: bool = True

    def obtain(self, name: str) -> Image:
        """Have the image in the engine's store. Raises CannotStandIn, with the image's name."""
        try:
            return self._obtain(name, recipe(name))
        except CannotStandIn as error:
            raise CannotStandIn(f"{name}: {error}") from None

    def _obtain(self, name: str, wanted: Recipe) -> Image:
        label = None
        with suppress(CommandFailed):
            labels = json.loads(self.engine.run("image", "inspect", name))[0]["Config"].get("Labels") or {}
            label = labels.get(LABEL)
            if label is None:
                return Image(name, "present")
        if self.pull:
            self.say(f"{name}: pulling")
            try:
                self.engine.run("pull", "--quiet", name, timeout=PULL_SECONDS)
                return Image(name, "pulled")
            except CommandFailed as error:
                why = str(error).splitlines()[-1]
                if not self.stand_in:
                    raise CannotStandIn(f"cannot be pulled: {why}") from None
                self.say(f"{name}: cannot be pulled ({why[:120]})")
        found = {program: binary(program, os.environ) for program in wanted.binaries}
        without = tuple(program for program, path in found.items() if path is None)
        fingerprint = _fingerprint(wanted, found)
        if label != fingerprint:
            _make(self.engine, name, wanted, fingerprint, found, self.work, self.say)
        return Image(name, "stand-in", wanted.shows_not, without)


def _fingerprint(wanted: Recipe, found: Mapping[str, Path | None]) -> str:
    digest = hashlib.sha256(repr(wanted).encode())
    for path in sorted(HERE.glob(f"{wanted.containerfile}[.-]*")):
        digest.update(f"{path.stat().st_mode}".encode() + path.read_bytes())
    for path in found.values():
        digest.update(f"{path} {(path.stat().st_size, path.stat().st_mtime) if path else None}".encode())
    return digest.hexdigest()[:16]


def _make(
    engine: Engine, image: str, wanted: Recipe, fingerprint: str, found: Mapping[str, Path | None], work: Path, say: Say
) -> None:
    base = f"stands-in/{wanted.suite}:{hashlib.sha256(repr(wanted.packages).encode()).hexdigest()[:12]}"
    if not engine.run("image", "ls", "--quiet", base, check=False).strip():
        _bootstrap(engine, base, wanted, work, say)
    say(f"{image}: building its stand-in")
    with tempfile.TemporaryDirectory(dir=work) as context:
        shutil.copytree(HERE, context, dirs_exist_ok=True)
        (Path(context) / "binaries").mkdir()
        for name, path in found.items():
            if path:
                shutil.copy(path, Path(context) / "binaries" / name)
        arguments = [part for value in (f"BASE={base}", *wanted.arguments) for part in ("--build-arg", value)]
        engine.run(
            "build", "--quiet", "--pull=false", *arguments, "--label", f"{LABEL}={fingerprint}", "--tag", image,
            "--file", f"{context}/{wanted.containerfile}.Containerfile", context,
        )  # fmt: skip


def _bootstrap(engine: Engine, base: str, wanted: Recipe, work: Path, say: Say) -> None:
    if shutil.which("debootstrap") is None:
        raise CannotStandIn("debootstrap is needed to make it: `apt-get install debootstrap`")
    if os.geteuid() != 0:
        raise CannotStandIn("debootstrap needs root to make it")
    say(f"Debian {wanted.suite} with {', '.join(wanted.packages)}: debootstrap, a minute or two")
    with tempfile.TemporaryDirectory(dir=work) as folder:
        root = Path(folder) / "root"
        # Old debootstraps do not know new releases by name; all recent ones are set up alike.
        script = [] if Path(f"/usr/share/debootstrap/scripts/{wanted.suite}").exists() else ["sid"]
        where = mirror(os.environ) or (["http://deb.debian.org/debian"] if script else [])
        include = f"--include={','.join(wanted.packages)}"
        argv = ["debootstrap", "--variant=minbase", include, wanted.suite, str(root), *where, *script]
        done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode:
            raise CannotStandIn("debootstrap failed: " + " / ".join(done.stdout.strip().splitlines()[-3:]))
        shutil.rmtree(root / "var/cache/apt/archives", ignore_errors=True)
        archive = Path(folder) / "root.tar"
        subprocess.run(["tar", "--directory", root, "--create", "--file", archive, "."], check=True)
        with archive.open("rb") as stream:
            engine.run("import", "-", base, stdin=stream)


def forget(engine: Engine, images: Sequence[Image]) -> None:
    """Take the stand-ins out of a store that is the machine's own: nobody shall take them for the real ones. Debian
    itself, from which the next run has them again in seconds, stays under a name of its own."""
    if not engine.has_own_store:
        for image in images:
            engine.run("image", "rm", image.name, check=False)


def build_ours(engine: Engine, image: str, root: Path, environ: Mapping[str, str]) -> None:
    """Build the Dockerfile. A mirror or a certificate of this machine's pip goes in as the Dockerfile offers it."""
    options: list[str] = []
    if environ.get("PIP_INDEX_URL"):
        options += ["--build-arg", f"PIP_INDEX_URL={environ['PIP_INDEX_URL']}"]
    certificate = environ.get("PIP_CERT") or environ.get("SSL_CERT_FILE")
    if certificate and Path(certificate).is_file():
        options += ["--secret", f"id=ca,src={certificate}"]
    engine.run("build", "--quiet", "--pull=false", "--network=host", *options, "--tag", image, str(root))
