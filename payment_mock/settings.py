"""The payment service's own settings: environment variables (or `.env`), refused at start by name. Apart from those of
the shop on purpose: the two talk over HTTP only, as a shop and Stripe do."""

import re
from contextlib import suppress
from functools import cached_property
from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from payment_mock.domain.params import is_address


def _host(value: str) -> str:
    with suppress(ValueError):
        return str(ip_address(value))
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,253}", value, re.ASCII):
        raise ValueError("must be a host name or an IP address, without a port")
    return value


def _http_url(value: str) -> str:
    if not re.match(r"https?://[^/]", value):
        raise ValueError("must begin with http:// or https:// and name a host")
    address = urlsplit(value) if is_address(value) and not re.search(r"\s", value) else None
    if address is None or address.port == 0 or "@" in address.netloc or address.query or address.fragment:
        raise ValueError("must be an address alone: no user, no blank, no ?, no #, a port between 1 and 65535")
    return value.rstrip("/")


def _origin(value: str) -> str:
    if urlsplit(value).path:
        raise ValueError("must end with its host: the pages' addresses begin at its root")
    return value


def _test_key(value: SecretStr) -> SecretStr:
    if value.get_secret_value().startswith(("sk_live_", "rk_live_")):
        raise ValueError("is a live key; the simulator takes test keys only")
    return value


def _postgres_only(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().startswith(("postgresql://", "postgres://", "postgresql+asyncpg://")):
        raise ValueError("must be a PostgreSQL address: postgresql://user:password@host:port/database")
    return value


def _split(value: Any) -> Any:
    """Several secrets while one is rotated out: every event is signed with all of them, as Stripe does."""
    if not isinstance(value, str):
        return value
    secrets = [part.strip() for part in value.split(",") if part.strip()]
    if not secrets:
        raise ValueError("must hold at least one webhook signing secret")
    return secrets


Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]


class WrongSettings(Exception):
    """The environment is wrong. The message names each variable."""


class Settings(BaseSettings):
    """All settings. Durations are seconds."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8-sig",
        env_ignore_empty=True,
        allow_inf_nan=False,
        extra="ignore",
        hide_input_in_errors=True,
    )

    environment: str = Field("development", pattern="^(development|production)$", alias="CHECKOUT_ENV")
    database_url: Annotated[SecretStr, AfterValidator(_postgres_only)] = Field(
        SecretStr("postgresql://checkout:checkout@127.0.0.1:5433/checkout"), alias="DATABASE_URL"
    )
    database_pool_size: int = Field(20, ge=1, le=200, alias="PAYMENT_DATABASE_POOL_SIZE")

    host: Annotated[str, AfterValidator(_host)] = Field("127.0.0.1", alias="CHECKOUT_PAYMENT_HOST")
    port: Port = Field(8086, alias="CHECKOUT_PAYMENT_PORT")
    api_port: Port = Field(8082, alias="CHECKOUT_API_PORT")
    # The base of the hosted payment pages' addresses, as a customer's browser reaches them.
    public_url: Annotated[HttpUrl, AfterValidator(_origin)] = Field(
        default_factory=lambda data: f"http://localhost:{data.get('port')}", alias="PAYMENT_PUBLIC_URL"
    )
    # Where events go unless a session names its own.
    webhook_url: HttpUrl = Field(
        default_factory=lambda data: f"http://127.0.0.1:{data.get('api_port')}/payment_webhook",
        alias="PAYMENT_WEBHOOK_URL",
    )

    secret_key: Annotated[SecretStr, AfterValidator(_test_key)] = Field(
        SecretStr("sk_test_checkout_development"), alias="STRIPE_SECRET_KEY"
    )
    webhook_secrets: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split)] = Field(
        (SecretStr("whsec_checkout_development"),), alias="STRIPE_WEBHOOK_SECRET"
    )

    webhook_timeout: Seconds = Field(10.0, alias="PAYMENT_WEBHOOK_TIMEOUT")
    webhook_retry_base: Seconds = Field(0.2, alias="PAYMENT_WEBHOOK_RETRY_BASE")
    webhook_retry_cap: Seconds = Field(30.0, alias="PAYMENT_WEBHOOK_RETRY_CAP")
    webhook_concurrency: int = Field(16, ge=1, le=256, alias="PAYMENT_WEBHOOK_CONCURRENCY")
    later: Seconds = Field(3.0, alias="PAYMENT_LATER")
    poll_interval: Seconds = Field(1.0, alias="PAYMENT_POLL_INTERVAL")

    @model_validator(mode="before")
    @classmethod
    def _blank_is_unset(cls, values: Any) -> Any:
        stripped = {name: text.strip() if isinstance(text, str) else text for name, text in values.items()}
        return {name: value for name, value in stripped.items() if value != ""}

    @model_validator(mode="after")
    def _never_in_production(self) -> "Settings":
        if self.environment == "production":
            raise ValueError("CHECKOUT_ENV: this is a simulator; in production use Stripe itself")
        return self

    @cached_property
    def signing_secrets(self) -> list[bytes]:
        return [secret.get_secret_value().encode() for secret in self.webhook_secrets]

    @cached_property
    def dsn(self) -> str:
        """`DATABASE_URL` as asyncpg reads it, `sslmode` and all."""
        return self.database_url.get_secret_value().replace("postgresql+asyncpg://", "postgresql://", 1)


def load_settings(**overrides: Any) -> Settings:
    """Read the settings. Raises `WrongSettings`, one line that names each wrong variable."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        complaints = [
            ": ".join([*map(str, item["loc"][:1]), item["msg"].removeprefix("Value error, ")])
            for item in error.errors(include_url=False, include_input=False)
        ]
        raise WrongSettings("Wrong settings. " + "; ".join(complaints)) from None
    except (UnicodeDecodeError, OSError):
        raise WrongSettings("Wrong settings. The file .env is not readable UTF-8 text: save it as UTF-8.") from None
