"""Settings of every process, read from the environment (or `.env`) and refused at start when wrong.

One typed object instead of scattered `os.environ` lookups: a process that starts has a complete, checked
configuration, and a wrong one ends with a sentence that names the variable. Temporal's own variables
(`TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, `TEMPORAL_API_KEY`, `TEMPORAL_TLS_*`, profiles) are read by
`temporalio.envconfig`, see `runtime.connection`.
"""

from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from checkout.errors import SettingsError
from runtime.keys import PayloadKey, parse_payload_keys

# Well-known values of the development stack. Production refuses every one of them.
DEVELOPMENT_STRIPE_KEY = "sk_test_checkout_development"
DEVELOPMENT_WEBHOOK_SECRET = "whsec_checkout_development"  # noqa: S105
DEVELOPMENT_ADMIN_TOKEN = "development-operator-token"  # noqa: S105


class Environment(StrEnum):
    DEVELOPMENT = "development"
    PRODUCTION = "production"


Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(BaseSettings):
    """All settings. Durations are seconds, money is never configured here."""

    model_config = SettingsConfigDict(
        env_file=".env",
        extra="ignore",
        populate_by_name=True,
        case_sensitive=False,
        hide_input_in_errors=True,
    )

    environment: Environment = Field(Environment.DEVELOPMENT, alias="CHECKOUT_ENV")
    data_dir: Path = Field(Path("var"), alias="CHECKOUT_DATA_DIR")

    database_url: SecretStr = Field(
        SecretStr("postgresql://checkout:checkout@127.0.0.1:5433/checkout"), alias="DATABASE_URL"
    )
    # Asked for by `python -m db setup` only (`db.roles`): each process is given its own as DATABASE_URL.
    gateway_database_url: SecretStr | None = Field(None, alias="CHECKOUT_GATEWAY_DATABASE_URL")
    worker_database_url: SecretStr | None = Field(None, alias="CHECKOUT_WORKER_DATABASE_URL")
    payment_database_url: SecretStr | None = Field(None, alias="CHECKOUT_PAYMENT_DATABASE_URL")
    database_pool_size: int = Field(8, ge=1, le=200, alias="CHECKOUT_DATABASE_POOL_SIZE")

    stripe_secret_key: SecretStr = Field(SecretStr(DEVELOPMENT_STRIPE_KEY), alias="STRIPE_SECRET_KEY")
    stripe_api_base: str | None = Field(None, alias="STRIPE_API_BASE")
    stripe_webhook_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (SecretStr(DEVELOPMENT_WEBHOOK_SECRET),), alias="STRIPE_WEBHOOK_SECRET"
    )

    api_host: str = Field("127.0.0.1", alias="CHECKOUT_API_HOST")
    api_port: Port = Field(8082, alias="CHECKOUT_API_PORT")
    payment_port: Port = Field(8086, alias="CHECKOUT_PAYMENT_PORT")
    temporal_port: Port = Field(7233, alias="CHECKOUT_TEMPORAL_PORT")
    temporal_ui_port: Port = Field(8233, alias="CHECKOUT_TEMPORAL_UI_PORT")
    postgres_port: Port = Field(5433, alias="CHECKOUT_POSTGRES_PORT")
    worker_host: str = Field("127.0.0.1", alias="CHECKOUT_WORKER_HOST")
    worker_port: Port = Field(8083, alias="CHECKOUT_WORKER_PORT")
    worker_metrics: str | None = Field(None, pattern=r"^[^:]+:\d{1,5}$", alias="CHECKOUT_WORKER_METRICS")
    public_url_setting: str | None = Field(None, alias="CHECKOUT_PUBLIC_URL")
    temporal_ui_url_setting: str | None = Field(None, alias="CHECKOUT_TEMPORAL_UI_URL")

    admin_token: SecretStr = Field(SecretStr(DEVELOPMENT_ADMIN_TOKEN), alias="CHECKOUT_ADMIN_TOKEN")
    payload_keys: Annotated[tuple[PayloadKey, ...], NoDecode] = Field((), repr=False, alias="CHECKOUT_PAYLOAD_KEYS")
    payload_plaintext: str = Field("accept", pattern="^(accept|refuse)$", alias="CHECKOUT_PAYLOAD_PLAINTEXT")
    payment_timeout: float = Field(900.0, gt=0, le=79_200, alias="CHECKOUT_PAYMENT_TIMEOUT")
    session_wait: float = Field(10.0, ge=0, le=60, alias="CHECKOUT_SESSION_WAIT")
    dispatch_duration: float = Field(10.0, ge=0, le=86_400, alias="CHECKOUT_DISPATCH_DURATION")
    sweep_interval: float = Field(30.0, ge=1, le=3_600, alias="CHECKOUT_SWEEP_INTERVAL")
    sweep_grace: float = Field(15.0, ge=0, le=3_600, alias="CHECKOUT_SWEEP_GRACE")

    rate_limit_per_minute: int = Field(0, ge=0, alias="CHECKOUT_RATE_LIMIT_PER_MINUTE")
    open_reservations_per_client: int = Field(0, ge=0, alias="CHECKOUT_OPEN_RESERVATIONS_PER_CLIENT")

    # Where tests arm failures (runtime.failpoints). Absent, and refused in production: nothing can be armed.
    failpoints: Path | None = Field(None, alias="CHECKOUT_FAILPOINTS")

    trusted_proxies: str = Field("", alias="CHECKOUT_TRUSTED_PROXIES")

    log_format: str = Field("text", pattern="^(text|json)$", alias="CHECKOUT_LOG_FORMAT")

    @field_validator("stripe_webhook_secrets", mode="before")
    @classmethod
    def _split_secrets(cls, value: Any) -> Any:
        """Several secrets are valid while one is rotated out: `STRIPE_WEBHOOK_SECRET=new,old`."""
        if isinstance(value, str):
            secrets = tuple(SecretStr(part.strip()) for part in value.split(",") if part.strip())
            if not secrets:
                raise ValueError("must hold at least one webhook signing secret")
            return secrets
        return value

    @field_validator("payload_keys", mode="before")
    @classmethod
    def _parse_payload_keys(cls, value: Any) -> Any:
        """`new:base64,old:base64`: the first encrypts what Temporal stores, all decrypt. None: not encrypted."""
        return parse_payload_keys(value) if isinstance(value, str) else value

    @field_validator(
        "gateway_database_url", "worker_database_url", "payment_database_url", "worker_metrics", mode="before"
    )
    @classmethod
    def _empty_is_unset(cls, value: Any) -> Any:
        return None if value == "" else value

    @field_validator("database_url", "gateway_database_url", "worker_database_url", "payment_database_url")
    @classmethod
    def _postgres_only(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().startswith(
            ("postgresql://", "postgres://", "postgresql+asyncpg://")
        ):
            raise ValueError("must be a PostgreSQL address: postgresql://user:password@host:port/database")
        return value

    @field_validator("stripe_api_base", "public_url_setting", "temporal_ui_url_setting")
    @classmethod
    def _http_url(cls, value: str | None) -> str | None:
        if value in (None, ""):
            return None
        if not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://")
        return value.rstrip("/")

    @model_validator(mode="after")
    def _plaintext_needs_keys(self) -> "Settings":
        if self.payload_plaintext == "refuse" and not self.payload_keys:
            raise ValueError("CHECKOUT_PAYLOAD_PLAINTEXT: refuse is possible only with CHECKOUT_PAYLOAD_KEYS")
        return self

    @model_validator(mode="after")
    def _no_development_values_in_production(self) -> "Settings":
        if self.environment is not Environment.PRODUCTION:
            return self
        if self.failpoints is not None:
            raise ValueError("CHECKOUT_FAILPOINTS must not be set when CHECKOUT_ENV=production: it plants failures")
        known = {
            "STRIPE_SECRET_KEY": self.stripe_secret_key.get_secret_value() == DEVELOPMENT_STRIPE_KEY,
            "STRIPE_WEBHOOK_SECRET": any(
                secret.get_secret_value() == DEVELOPMENT_WEBHOOK_SECRET for secret in self.stripe_webhook_secrets
            ),
            "CHECKOUT_ADMIN_TOKEN": self.admin_token.get_secret_value() == DEVELOPMENT_ADMIN_TOKEN
            or len(self.admin_token.get_secret_value()) < 16,
            "CHECKOUT_PUBLIC_URL": self.public_url_setting is None,
        }
        for name, is_development_value in known.items():
            if is_development_value:
                raise ValueError(f"{name} must be set to a value of your own when CHECKOUT_ENV=production")
        return self

    @property
    def is_development(self) -> bool:
        return self.environment is Environment.DEVELOPMENT

    @cached_property
    def public_url(self) -> str:
        """Where customers reach the gateway: the base of every link we hand out."""
        return self.public_url_setting or f"http://localhost:{self.api_port}"

    @cached_property
    def temporal_ui_url(self) -> str:
        return self.temporal_ui_url_setting or f"http://localhost:{self.temporal_ui_port}"


def load_settings(**overrides: Any) -> Settings:
    """Read the settings. Raises `SettingsError`, one line that names each wrong variable."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        raise SettingsError(_explain(error)) from None


def _explain(error: ValidationError) -> str:
    complaints = []
    for item in error.errors(include_url=False, include_input=False):
        name = str(item["loc"][0]) if item["loc"] else ""
        message = item["msg"].removeprefix("Value error, ")
        complaints.append(f"{name}: {message}" if name else message)
    return "Wrong settings. " + "; ".join(complaints)
