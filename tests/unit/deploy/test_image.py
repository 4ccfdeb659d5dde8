"""The Dockerfile, its build context and the support scripts, as far as text and a shell can tell."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def instructions(root: Path) -> list[str]:
    """The Dockerfile's instructions, comments gone and continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (root / "Dockerfile").read_text(), flags=re.MULTILINE)
    return [line.strip() for line in re.sub(r"\\\n\s*", " ", text).splitlines() if line.strip()]


@pytest.fixture(scope="module")
def final_stage(instructions: list[str]) -> list[str]:
    start = max(index for index, line in enumerate(instructions) if line.startswith("FROM"))
    return instructions[start:]


def test_every_stage_starts_from_the_same_pinned_python(instructions: list[str]) -> None:
    bases = {line.split()[1] for line in instructions if line.startswith("FROM")}
    assert len(bases) == 1
    assert re.fullmatch(r"docker\.io/library/python:3\.11\.\d+-slim-[a-z]+", bases.pop())


def test_dependencies_come_from_the_lock_with_their_hashes(instructions: list[str]) -> None:
    installs = [line for line in instructions if " install " in line]
    assert len(installs) == 1
    assert "--require-hashes -r image.lock" in installs[0]
    assert "--only-binary :all:" in installs[0]


def test_the_image_ends_as_a_user_without_name_or_rights(final_stage: list[str]) -> None:
    users = [line.split()[1] for line in final_stage if line.startswith("USER")]
    assert users == ["10001:10001"]
    assert final_stage.index("USER 10001:10001") > max(
        index for index, line in enumerate(final_stage) if line.startswith(("RUN", "COPY"))
    )


def test_the_image_has_a_health_check_and_its_own_port(final_stage: list[str]) -> None:
    health = next(line for line in final_stage if line.startswith("HEALTHCHECK"))
    assert "127.0.0.1:8082" in health
    assert any(line.startswith("EXPOSE") and "8082" in line for line in final_stage)


def test_the_final_stage_gets_no_installer_and_no_tests(final_stage: list[str]) -> None:
    assert any("pip uninstall" in line for line in final_stage)
    assert not any(re.search(r"\b(apt-get|curl|wget|COPY tests)\b", line) for line in final_stage)


def test_the_image_holds_every_package_our_processes_import(instructions: list[str], root: Path) -> None:
    """Imports between our packages, followed from each process; what is found must be copied."""
    packages = {path.parent.name for path in root.glob("*/__init__.py")}
    copied = {line.split()[1] for line in instructions if line.startswith("COPY") and "--from" not in line}
    needed, queue = set(), ["api", "worker", "payment_mock", "db"]
    while queue:
        package = queue.pop()
        needed.add(package)
        for source in (root / package).rglob("*.py"):
            for node in ast.walk(ast.parse(source.read_text())):
                names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                queue += [top for name in names if (top := name.split(".")[0]) in packages - needed]
    assert needed <= copied


def test_the_build_context_holds_what_is_copied_and_no_secret(instructions: list[str], root: Path) -> None:
    lines = [line for line in (root / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*"
    allowed = {line[1:] for line in lines if line.startswith("!")}
    copied = {line.split()[1] for line in instructions if line.startswith("COPY") and "--from" not in line}
    assert copied <= allowed
    assert not allowed & {".env", ".git", "var", "tests", ".venv"}


@pytest.mark.parametrize(
    "script", ["postgres/10-roles-and-databases", "temporal/setup-schema", "temporal/setup-namespace"]
)
def test_a_support_script_is_valid_stops_at_the_first_error_and_can_be_executed(root: Path, script: str) -> None:
    path = root / "deploy" / f"{script}.sh"
    assert subprocess.run(["sh", "-n", path], capture_output=True).returncode == 0
    assert "\nset -eu\n" in path.read_text()
    assert path.stat().st_mode & 0o111


def test_the_namespace_job_registers_what_the_workflow_sets(root: Path) -> None:
    from runtime.search_attributes import SEARCH_ATTRIBUTES

    script = (root / "deploy/temporal/setup-namespace.sh").read_text()
    listed = re.search(r"^for attribute in (.+); do$", script, re.MULTILINE)
    assert listed
    assert set(listed[1].split()) == {key.name for key in SEARCH_ATTRIBUTES}


def test_the_probe_runs_on_the_standard_library_alone(root: Path) -> None:
    tree = ast.parse((root / "deploy/healthcheck.py").read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    assert {str(name).split(".")[0] for name in imported} <= sys.stdlib_module_names
