"""`docker-compose.yml` against the specification, our settings and our modules. Needs no container engine."""

import json
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from checkout.errors import SettingsError
from checkout.settings import Settings, load_settings
from payment_mock.settings import Settings as PaymentSettings
from payment_mock.settings import load_settings as load_payment_settings

Services = dict[str, dict[str, Any]]

# Documented variables of the images and programs that are not ours.
TEMPORAL_CLIENT = {"TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE"}  # temporalio.envconfig
FOREIGN = {
    # The image's own, and the two of our init script.
    "postgres": {"POSTGRES_PASSWORD", "SHOP_DB_PASSWORD", "TEMPORAL_DB_PASSWORD"},
    # temporalio/temporal, tools/sql/main.go
    "temporal-schema": {"SQL_PLUGIN", "SQL_HOST", "SQL_PORT", "SQL_USER", "SQL_PASSWORD"},
    "temporal": {  # temporalio/temporal, config/docker.yaml and docker/scripts/sh/entrypoint.sh
        *("DB", "DB_PORT", "POSTGRES_SEEDS", "POSTGRES_USER", "POSTGRES_PWD", "DBNAME", "VISIBILITY_DBNAME"),
        *("NUM_HISTORY_SHARDS", "BIND_ON_IP", "DYNAMIC_CONFIG_FILE_PATH", "LOG_LEVEL"),
    },
    "temporal-setup": TEMPORAL_CLIENT,
    "temporal-ui": {  # temporalio/ui, server/config/docker.yaml
        "TEMPORAL_ADDRESS",
        "TEMPORAL_DEFAULT_NAMESPACE",
        "TEMPORAL_NOTIFY_ON_NEW_VERSION",
        "TEMPORAL_CORS_ORIGINS",
    },
}


def our_variables() -> set[str]:
    return {str(field.alias) for field in Settings.model_fields.values()}


def payment_variables() -> set[str]:
    return {str(field.alias) for field in PaymentSettings.model_fields.values()}


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
        assert re.fullmatch(r"[a-z/-]+:\d+\.\d+(\.\d+)?(-[a-z]+)?", service["image"]), name


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


def test_the_supervisor_of_make_up_runs_the_same_modules(ours: Services, root: Path) -> None:
    """Two ways to start a process, one command: what `checkout up` tests is what a container runs."""
    supervisor = "\n".join(path.read_text() for path in sorted((root / "stack").rglob("*.py")))
    for name, service in ours.items():
        module = service["command"][2]
        assert re.search(rf'"-m",\s*"{module}"|python_module\("{module}"|-m {module}\b', supervisor), name


def test_every_variable_is_known_to_the_program_that_reads_it(services: Services, ours: Services) -> None:
    known = {name: our_variables() | TEMPORAL_CLIENT for name in ours} | {"payment": payment_variables()}
    for name, service in services.items():
        accepted = known[name] if name in ours else FOREIGN[name]
        assert set(service.get("environment", {})) <= accepted, name


def test_our_processes_accept_the_environment_compose_gives_them(ours: Services) -> None:
    for name in ours.keys() - {"payment"}:
        values = {key: value for key, value in ours[name]["environment"].items() if key in our_variables()}
        settings = load_settings(_env_file=None, **values)
        assert settings.database_url.get_secret_value() == (
            "postgresql://checkout:shop-password@postgres:5432/checkout"
        )
        assert settings.stripe_api_base == "http://payment:8086"


def test_the_payment_service_agrees_with_the_shop_and_finds_its_webhook(ours: Services) -> None:
    shop, payment = ours["gateway"]["environment"], ours["payment"]["environment"]
    for secret in ("STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET", "DATABASE_URL"):
        assert shop[secret] == payment[secret]
    settings = load_payment_settings(_env_file=None, **payment)
    assert (settings.host, settings.port) == ("0.0.0.0", 8086)
    assert settings.webhook_url == "http://gateway:8082/payment_webhook"
    assert settings.public_url == "http://localhost:8086"
    assert "CHECKOUT_ADMIN_TOKEN" not in payment


def test_a_published_port_moves_the_links_with_it(render: Callable[..., dict[str, Any]]) -> None:
    ports = {
        "CHECKOUT_API_PORT": "9082",
        "CHECKOUT_PAYMENT_PORT": "9086",
        "CHECKOUT_TEMPORAL_UI_PORT": "9233",
    }
    services = render(**ports)["services"]
    assert services["gateway"]["environment"]["CHECKOUT_PUBLIC_URL"] == "http://localhost:9082"
    assert services["gateway"]["environment"]["CHECKOUT_TEMPORAL_UI_URL"] == "http://localhost:9233"
    assert services["temporal-ui"]["environment"]["TEMPORAL_CORS_ORIGINS"] == "http://localhost:9233"
    assert services["payment"]["environment"]["PAYMENT_PUBLIC_URL"] == "http://localhost:9086"
    assert services["payment"]["ports"] == ["127.0.0.1:9086:8086"]


def test_production_refuses_the_development_secrets_compose_falls_back_to(ours: Services) -> None:
    values = {key: value for key, value in ours["gateway"]["environment"].items() if key in our_variables()}
    with pytest.raises(SettingsError, match="STRIPE_SECRET_KEY"):
        load_settings(_env_file=None, **{**values, "CHECKOUT_ENV": "production"})


def test_every_address_between_containers_names_a_service_and_its_port(ours: Services, services: Services) -> None:
    for service in ours.values():
        text = " ".join(str(value) for value in service["environment"].values())
        for host, port in re.findall(r"(?:@|//|\s)([a-z-]+):(\d+)", f" {text}"):
            if host != "localhost":
                assert services[host]["ports"][0].endswith(f":{port}"), (host, port)


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


def test_every_secret_comes_from_the_environment_and_the_example_names_it(source: str, root: Path) -> None:
    example = (root / "deploy" / "compose.env.example").read_text()
    offered = set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE))
    assert set(re.findall(r"\$\{([A-Z_]+)", source)) == offered
    required = set(re.findall(r"\$\{([A-Z_]+):\?", source))
    assert required == {
        "POSTGRES_PASSWORD",
        "SHOP_DB_PASSWORD",
        "TEMPORAL_DB_PASSWORD",
        "CHECKOUT_ADMIN_TOKEN",
    }
    assert re.findall(r"^[A-Z_]+=(.+)$", example, re.MULTILINE) == []


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
