"""A place for a stack of a test's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stacks import data_dir


@pytest.fixture
def place() -> Iterator[Path]:
    with data_dir() as path:
        yield path
