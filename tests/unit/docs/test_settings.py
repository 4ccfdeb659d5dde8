"""docs/settings.md and `.env.example` know every setting, its default and every port, and no others."""

import re
from enum import StrEnum
from typing import Any

from payment_mock.settings import Settings as PaymentSettings
from runtime.settings import Settings
from tests.unit.docs.markdown import ROOT, document, documents

METRICS_EXAMPLE = "9464"  # has no default: `CHECKOUT_WORKER_METRICS` is off


def _settings() -> dict[str, Any]:
    """The default by variable. The payment service shares some variables with the shop; each keeps its one row."""
    fields = [*PaymentSettings.model_fields.values(), *Settings.model_fields.values()]
    return {str(field.alias): field.default for field in fields}


def _documented() -> dict[str, str]:
    return {row[0].strip("`"): row[1] for row in document("docs/settings.md").rows if re.fullmatch("`[A-Z_]+`", row[0])}


def test_the_page_has_a_row_for_every_setting_and_for_nothing_else() -> None:
    assert _documented().keys() == _settings().keys()


def test_the_page_tells_every_default_as_it_is() -> None:
    documented = _documented()
    for name, default in _settings().items():
        if isinstance(default, int | float):
            assert documented[name] == f"`{default:.10g}`", name
        elif isinstance(default, str) and default:
            expected = default.value if isinstance(default, StrEnum) else default
            assert documented[name] == f"`{expected}`", name


def test_the_example_has_a_line_for_every_setting_and_for_nothing_else() -> None:
    lines = re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(lines) == sorted(_settings())


def test_the_example_sets_nothing_by_itself() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    assert not [line for line in lines if line and not line.startswith("#")]


def test_the_table_of_ports_is_that_of_the_settings() -> None:
    told = {row[2].strip("`"): int(row[0]) for row in document("README.md").rows if row[0].isdigit()}
    ports = {str(f.alias): f.default for f in Settings.model_fields.values() if str(f.alias).endswith("_PORT")}
    assert told == ports


def test_every_address_on_localhost_has_a_port_of_ours() -> None:
    ports = {str(default) for name, default in _settings().items() if name.endswith("_PORT")}
    ports.add(METRICS_EXAMPLE)
    for each in documents():
        for port in re.findall(r"(?:localhost|127\.0\.0\.1):(\d+)", each.text):
            assert port in ports, f"{each}: {port}"
