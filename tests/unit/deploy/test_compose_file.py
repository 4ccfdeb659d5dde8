"""`docker-compose.yml` against the specification, our settings and our modules. Needs no container engine."""

import json
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema

from runtime.settings import Settings
from stack.config import StackConfig
from stack.environment import Credentials
from stack.stack import build

Services = dict[str, dict[str, Any]]


def jobs(services: Services) -> set[str]:
    return {name for name, service in services.items() if str(service["restart"]).startswith("on-failure")}


def test_it_follows_the_compose_specification(compose: dict[str, Any]) -> None:
    schema = json.loads((Path(__file__).parent / "compose-spec.json").read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)
    assert [error.message for error in validator.iter_errors(compose)] == []


def test_a_misspelt_key_would_be_refused_by_that_schema(compose: dict[str, Any]) -> None:
    schema = json.loads((Path(__file__).parent / "compose-spec.json").read_text())
    validator = jsonschema.validators.validator_for(schema)(schema)
    compose = json.loads(json.dumps(compose))
    compose["services"]["worker"]["depend_on"] = {}
    assert not validator.is_valid(compose)


def test_every_image_is_pinned_to_a_full_version(services: Services) -> None:
    for name, service in services.items():
        assert re.fullmatch(r"[a-z./-]+:\d+\.\d+(\.\d+)?(-[a-z]+)?", service["image"]), name


def test_every_image_of_others_names_its_registry(services: Services, ours: Services) -> None:
    """Docker would add it; podman would ask which one is meant, or refuse."""
    for name in services.keys() - ours.keys():
        assert services[name]["image"].startswith("docker.io/"), name


def test_everything_has_a_health_check_or_is_a_job_that_another_waits_for(services: Services) -> None:
    awaited = {
        (dependency, condition["condition"])
        for service in services.values()
        for dependency, condition in service.get("depends_on", {}).items()
    }
    for name, service in services.items():
        if name in jobs(services):
            assert (name, "service_completed_successfully") in awaited, name
        else:
            assert service["restart"] == "unless-stopped", name
            assert service["healthcheck"]["test"][0] == "CMD", name
    for dependency, condition in awaited:
        expected = "service_completed_successfully" if dependency in jobs(services) else "service_healthy"
        assert condition == expected, dependency


def test_nothing_runs_as_root_or_keeps_a_privilege(services: Services) -> None:
    for name, service in services.items():
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", service["user"]), name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.keys() & {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices"}, name


def test_the_postgres_volume_is_the_only_writable_mount(services: Services) -> None:
    for name, service in services.items():
        for volume in service.get("volumes", []):
            assert volume.endswith(":ro") or (name, volume) == ("postgres", "postgres:/var/lib/postgresql")


def test_every_mounted_file_exists(services: Services, root: Path) -> None:
    for service in services.values():
        for volume in service.get("volumes", []):
            if volume.startswith("./"):
                assert (root / volume.split(":")[0]).exists(), volume


def test_every_port_is_the_settings_own_and_bound_to_loopback(services: Services) -> None:
    defaults = {
        "postgres": Settings.model_fields["postgres_port"].default,
        "temporal": Settings.model_fields["temporal_port"].default,
        "temporal-ui": Settings.model_fields["temporal_ui_port"].default,
        "payment": Settings.model_fields["payment_port"].default,
        "gateway": Settings.model_fields["api_port"].default,
    }
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published.keys() == defaults.keys()
    for name, ports in published.items():
        assert [port.rsplit(":", 1)[0] for port in ports] == [f"127.0.0.1:{defaults[name]}"]


def test_a_health_check_asks_the_port_its_service_publishes(services: Services) -> None:
    for name in ("temporal", "temporal-ui", "payment", "gateway"):
        inside = services[name]["ports"][0].rsplit(":", 1)[1]
        assert inside in " ".join(services[name]["healthcheck"]["test"]), name


def test_our_services_run_our_modules_and_nothing_else(ours: Services) -> None:
    commands = {name: service["command"] for name, service in ours.items()}
    assert commands == {
        "database": ["python", "-m", "db", "setup"],
        "payment": ["python", "-m", "payment_mock"],
        "worker": ["python", "-m", "worker"],
        "gateway": ["python", "-m", "api"],
    }
    for command in commands.values():
        assert find_spec(f"{command[2]}.__main__"), command


def test_the_supervisor_of_make_up_runs_the_same_commands(ours: Services, tmp_path: Path) -> None:
    """Two ways to start a process, one command: what `checkout up` tests is what a container runs."""
    config = StackConfig.for_tests(tmp_path, parts=("setup", "payment", "worker", "gateway"))
    built = {part.name: list(part.argv[1:]) for part in build(config, Credentials("", "", ""))}
    names = {"database": "setup"}
    assert {names.get(name, name): service["command"][1:] for name, service in ours.items()} == built


def test_a_container_is_asked_what_the_supervisor_asks(ours: Services) -> None:
    """`/readyz` on the port of the settings, the same question in both worlds."""
    defaults = {"payment": "payment_port", "worker": "worker_port", "gateway": "api_port"}
    for name, field in defaults.items():
        port = Settings.model_fields[field].default
        assert ours[name]["healthcheck"]["test"][-1] == f"http://127.0.0.1:{port}/readyz"


def test_a_service_shares_a_network_with_all_it_talks_to(services: Services) -> None:
    talks = {
        "temporal-schema": {"postgres"},
        "temporal": {"postgres"},
        "temporal-setup": {"temporal"},
        "temporal-ui": {"temporal"},
        "database": {"postgres"},
        "payment": {"postgres", "gateway"},
        "worker": {"postgres", "temporal", "payment"},
        "gateway": {"postgres", "temporal", "payment"},
    }
    for name, others in talks.items():
        for other in others:
            assert set(services[name]["networks"]) & set(services[other]["networks"]), (name, other)
    assert services["temporal"]["networks"] == ["temporal"]  # see the comment there
    assert not set(services["payment"]["networks"]) & set(services["temporal"]["networks"])


def test_every_dependency_exists_and_none_goes_in_a_circle(services: Services) -> None:
    order: list[str] = []

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, (*path, name)
        for dependency in services[name].get("depends_on", {}):
            visit(dependency, (*path, name))
        if name not in order:
            order.append(name)

    for name in services:
        visit(name, ())
    assert order.index("postgres") < order.index("temporal-schema") < order.index("temporal")
    assert order.index("temporal-setup") < order.index("worker")
