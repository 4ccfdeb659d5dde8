"""The parts of `make containers` that need no engine."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.campaigns.containers.deployment import environment_file, health, in_order, moment
from tests.campaigns.containers.engine import NoEngine, find, podman_configuration
from tests.campaigns.containers.images import HERE, CannotStandIn, Image, binary, mirrors_of, others, recipe
from tests.campaigns.containers.report import Report
from tests.unit.deploy.conftest import REQUIRED

Services = dict[str, dict[str, Any]]


def test_every_image_of_the_file_can_be_stood_in_for(services: Services, root: Path) -> None:
    """A new service needs a recipe, or `make containers` cannot run where nothing can be pulled."""
    base = next(line.split()[1] for line in (root / "Dockerfile").read_text().splitlines() if line.startswith("FROM"))
    for image in {base, *others(services)}:
        wanted = recipe(image)
        assert (HERE / f"{wanted.containerfile}.Containerfile").exists(), image


def test_a_postgresql_that_debian_does_not_have_is_refused_in_a_sentence() -> None:
    with pytest.raises(CannotStandIn, match="no PostgreSQL 19"):
        recipe("docker.io/library/postgres:19.1-bookworm")


def test_what_a_stand_in_copies_from_its_folder_is_there_and_can_be_executed() -> None:
    for containerfile in HERE.glob("*.Containerfile"):
        copied = [line.split()[1] for line in containerfile.read_text().splitlines() if line.startswith("COPY")]
        for name in copied:
            if name != "binaries/":
                assert (HERE / name).exists(), (containerfile.name, name)
                assert not name.endswith(".sh") or (HERE / name).stat().st_mode & 0o111, name


def test_the_services_come_after_what_they_depend_on(services: Services) -> None:
    order = in_order(services)
    assert sorted(order) == sorted(services)
    for name, service in services.items():
        for dependency in service.get("depends_on", {}):
            assert order.index(dependency) < order.index(name), (dependency, name)


def test_the_environment_file_fills_what_the_example_leaves_empty_with_secrets_of_its_own(root: Path) -> None:
    example = (root / "deploy" / "compose.env.example").read_text()
    first, second = environment_file(example, {"CHECKOUT_API_PORT": 1}), environment_file(example, {})
    assert first.keys() == {*REQUIRED, "CHECKOUT_API_PORT"}
    assert all(first[name] and first[name] != second[name] for name in REQUIRED)
    assert len({first[name] for name in REQUIRED}) == len(REQUIRED)


def test_the_mirror_is_debians_own_archive_and_not_that_of_security() -> None:
    listed = (
        "Debian http://mirror.test/debian-security/\nOther http://other.test/\n"
        "Debian http://mirror.test/debian/\nDebian http://mirror.test/debian/\n"
    )
    assert mirrors_of(listed) == ["http://mirror.test/debian"]
    assert mirrors_of("") == []


def test_a_ready_program_that_a_setting_names_goes_before_the_one_on_the_path(tmp_path: Path) -> None:
    for folder in ("named", "path"):
        program = tmp_path / folder / "temporal-server"
        program.parent.mkdir()
        program.touch(mode=0o755)
    named = tmp_path / "named" / "temporal-server"
    both = {"TEMPORAL_SERVER_BIN": str(named), "PATH": str(tmp_path / "path")}
    assert binary("temporal-server", both) == named
    assert binary("temporal-server", {"PATH": str(tmp_path / "path")}) == tmp_path / "path" / "temporal-server"
    assert binary("temporal-sql-tool", both) is None


def test_podman_asks_for_no_more_than_this_process_may_have(tmp_path: Path) -> None:
    variables = podman_configuration(tmp_path, {"nofile": 1024, "nproc": 4096})
    text = Path(variables["CONTAINERS_CONF"]).read_text()
    assert '"nofile=1024:1024"' in text
    assert '"nproc=4096:4096"' in text
    assert str(tmp_path) in Path(variables["CONTAINERS_STORAGE_CONF"]).read_text()


def test_without_an_engine_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("docker") is None
    with pytest.raises(NoEngine, match=r"apt-get install podman runc debootstrap(?s:.*)docker is not on PATH"):
        find(tmp_path)


def test_health_is_read_as_either_engine_writes_it() -> None:
    assert health({"Health": {"Status": "healthy"}}) == "healthy"
    assert health({"Healthcheck": {"Status": "starting"}}) == "starting"
    assert health({}) == ""


def test_an_engines_nanoseconds_are_compared_as_time() -> None:
    assert moment("2026-01-02T03:04:05.123456789Z") < moment("2026-01-02T03:04:05.2Z")


def test_the_report_says_what_a_stand_in_could_not_show_and_fails_with_any_row() -> None:
    report = Report("docker", "Docker 28")
    assert not report.ok  # nothing was tried
    report.images.append(Image("docker.io/library/postgres:18.6-bookworm", "stand-in", "not the image's script"))
    report.passed("start", "up in 5 s", 5.0)
    assert report.ok
    assert "not the image's script" in report.markdown()
    report.failed("kill", "a | b\nc", 1.0)
    assert not report.ok
    assert "**failed:** a \\| b<br>c" in report.markdown()
