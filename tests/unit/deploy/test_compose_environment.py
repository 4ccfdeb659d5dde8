"""The environment that `docker-compose.yml` gives every process: known, complete, consistent, and no secret in it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from checkout.errors import SettingsError
from db.roles import roles_of
from payment_mock.settings import Settings as PaymentSettings
from payment_mock.settings import load_settings as load_payment_settings
from runtime.settings import Settings, load_settings
from tests.unit.deploy.conftest import REQUIRED

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
        "TEMPORAL_CODEC_ENDPOINT",
        "TEMPORAL_CODEC_INCLUDE_CREDENTIALS",
    },
}


def our_variables() -> set[str]:
    return {str(field.alias) for field in Settings.model_fields.values()}


def payment_variables() -> set[str]:
    return {str(field.alias) for field in PaymentSettings.model_fields.values()}


def settings_of(ours: Services, name: str) -> Settings:
    values = {key: value for key, value in ours[name]["environment"].items() if key in our_variables()}
    return load_settings(_env_file=None, **values)


def test_every_variable_is_known_to_the_program_that_reads_it(services: Services, ours: Services) -> None:
    known = {name: our_variables() | TEMPORAL_CLIENT for name in ours} | {"payment": payment_variables()}
    for name, service in services.items():
        accepted = known[name] if name in ours else FOREIGN[name]
        assert set(service.get("environment", {})) <= accepted, name


def test_every_setting_of_ours_can_be_set_in_the_file_that_compose_reads(ours: Services) -> None:
    """Compose passes on what is named, nothing else: a setting that is forgotten there has no effect and no error."""
    inside_the_container = {
        *("CHECKOUT_WORKER_HOST", "CHECKOUT_WORKER_PORT", "CHECKOUT_DATA_DIR"),
        *(f"CHECKOUT_{name}_PORT" for name in ("API", "PAYMENT", "TEMPORAL", "TEMPORAL_UI", "POSTGRES")),
    }
    passed = {name for service in ours.values() for name in service["environment"]}
    assert our_variables() - passed == inside_the_container | {"CHECKOUT_FAILPOINTS"}


def test_our_processes_accept_the_environment_compose_gives_them(ours: Services) -> None:
    for name in ("worker", "gateway"):
        settings = settings_of(ours, name)
        assert settings.stripe_api_base == "http://payment:8086"
        assert [key.id for key in settings.payload_keys] == ["k1"]


def test_each_process_logs_in_as_a_role_of_its_own_which_set_up_makes(ours: Services) -> None:
    """`db.roles` gives the rights; whoever takes over a process has those and no other."""
    setup = settings_of(ours, "database")
    made = {role.kind: (role.name, role.url) for role in roles_of(setup)}
    for name in ("gateway", "worker", "payment"):
        url = f"postgresql://checkout_{name}:{name}-password@postgres:5432/checkout"
        assert ours[name]["environment"]["DATABASE_URL"] == url
        assert made[name] == (f"checkout_{name}", url)
    assert setup.database_url.get_secret_value() == "postgresql://checkout:shop-password@postgres:5432/checkout"


def test_no_process_is_told_more_than_its_work_takes(ours: Services) -> None:
    told = {name: " ".join(map(str, service["environment"].values())) for name, service in ours.items()}
    who_knows = {
        "shop-password": {"database"},
        "gateway-password": {"database", "gateway"},
        "worker-password": {"database", "worker"},
        "payment-password": {"database", "payment"},
        REQUIRED["CHECKOUT_PAYLOAD_KEYS"]: {"worker", "gateway"},
        REQUIRED["CHECKOUT_ADMIN_TOKEN"]: {"worker", "gateway"},
    }
    for secret, knowing in who_knows.items():
        assert {name for name, text in told.items() if secret in text} == knowing, secret


def test_the_payment_service_agrees_with_the_shop_and_finds_its_webhook(ours: Services) -> None:
    shop, payment = ours["gateway"]["environment"], ours["payment"]["environment"]
    for secret in ("STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"):
        assert shop[secret] == payment[secret]
    settings = load_payment_settings(_env_file=None, **payment)
    assert (settings.host, settings.port) == ("0.0.0.0", 8086)
    assert settings.webhook_url == "http://gateway:8082/payment_webhook"
    assert settings.public_url == "http://localhost:8086"
    assert "CHECKOUT_ADMIN_TOKEN" not in payment


def test_every_role_is_asked_for_the_password_it_was_given(services: Services) -> None:
    given = services["postgres"]["environment"]
    assert given["SHOP_DB_PASSWORD"] in services["database"]["environment"]["DATABASE_URL"]
    assert given["TEMPORAL_DB_PASSWORD"] == services["temporal-schema"]["environment"]["SQL_PASSWORD"]
    assert given["TEMPORAL_DB_PASSWORD"] == services["temporal"]["environment"]["POSTGRES_PWD"]
    assert len(set(given.values())) == len(given)


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
    assert services["temporal-ui"]["environment"]["TEMPORAL_CODEC_ENDPOINT"] == "http://localhost:9082/codec"
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


def test_every_secret_comes_from_the_environment_and_the_example_names_it(source: str, root: Path) -> None:
    example = (root / "deploy" / "compose.env.example").read_text()
    offered = set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE))
    assert set(re.findall(r"\$\{([A-Z_]+)", source)) == offered
    required = set(re.findall(r"\$\{([A-Z_]+):\?", source))
    assert required == REQUIRED.keys()
    assert re.findall(r"^[A-Z_]+=(.+)$", example, re.MULTILINE) == []
