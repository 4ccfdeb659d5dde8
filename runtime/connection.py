"""The one way to connect to Temporal. Its own environment configuration decides where (`TEMPORAL_ADDRESS`, …, or a
profile in its TOML file); without any, it is the development server on `CHECKOUT_TEMPORAL_PORT`."""

import functools
import os
from typing import cast

from temporalio.client import Client
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes, PayloadConverter
from temporalio.envconfig import ClientConfig, ClientConnectConfig
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.service import RetryConfig

from checkout.errors import SettingsError
from runtime.checks import host_and_port
from runtime.codec import EncryptingCodec
from runtime.settings import Settings

# One a process. The SDK asks for another with every activation of a workflow, and its cache of what pydantic has worked
# out about our types would begin empty each time.
_one_payload_converter = cast(type[PayloadConverter], functools.cache(PydanticPayloadConverter))


def data_converter(settings: Settings | None = None) -> DataConverter:
    """The converter of every client, worker and replayer. With `CHECKOUT_PAYLOAD_KEYS` in the settings, it encrypts
    what it converts (`runtime.codec`); without settings, it reads plain histories."""
    if settings is None or not settings.payload_keys:
        return DataConverter(payload_converter_class=_one_payload_converter)
    return DataConverter(
        payload_converter_class=_one_payload_converter,
        payload_codec=EncryptingCodec(settings.payload_keys, accepts_plaintext=settings.payload_plaintext == "accept"),
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


def prometheus_runtime(bind_address: str) -> Runtime:
    """A Temporal runtime that serves the SDK's metrics in Prometheus' format on `host:port`."""
    metrics = PrometheusConfig(
        bind_address=bind_address, counters_total_suffix=True, unit_suffix=True, durations_as_seconds=True
    )
    return Runtime(telemetry=TelemetryConfig(metrics=metrics))


# For who answers somebody that waits, a customer or a webhook: the library's own 10 seconds are as long as the other
# side waits, which would then never see the 503 that says "come again".
BRIEF_RETRIES = RetryConfig(initial_interval_millis=100, max_interval_millis=500, max_elapsed_time_millis=3_000)


def connection_settings() -> ClientConnectConfig:
    """Where Temporal is, by its own variables and profiles. Raises `SettingsError` when one of them is wrong.

    As with our own settings, an empty variable is an unset one: its library would take it for an empty namespace.
    """
    given = {name: text.strip() if name.startswith("TEMPORAL_") else text for name, text in os.environ.items()}
    given = {name: text for name, text in given.items() if text or not name.startswith("TEMPORAL_")}
    try:
        config = ClientConfig.load_client_connect_config(override_env_vars=given)
        if "target_host" in config:
            host_and_port(config["target_host"])
        return config
    except (RuntimeError, OSError, ValueError) as error:
        names = sorted(name for name in given if name.startswith("TEMPORAL_"))
        raise SettingsError(
            f"Wrong settings. {', '.join(names) or 'The default profile of Temporal'}: {error}"
        ) from error


async def connect(
    settings: Settings, *, lazy: bool = False, runtime: Runtime | None = None, retries: RetryConfig | None = None
) -> Client:
    """A connected client (or one that connects on first use, when `lazy`). Raises `RuntimeError` when out of reach, and
    `SettingsError` for settings that name nothing."""
    config = connection_settings()
    config.setdefault("target_host", f"127.0.0.1:{settings.temporal_port}")
    return await Client.connect(
        **config, data_converter=data_converter(settings), lazy=lazy, runtime=runtime, retry_config=retries
    )
