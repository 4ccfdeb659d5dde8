"""One machine's development stack: PostgreSQL, Temporal, payment service, worker and gateway, supervised.

    async with Stack(StackConfig.for_tests(data_dir)) as stack:
        await stack.kill("worker")
        await stack.wait_ready("worker")

Names are imported when first used: every `checkout` command passes through here and most need none of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stack.config import PARTS, StackConfig
    from stack.errors import DataDirInUse, PartFailed, PortTaken, ProgramMissing, StackError
    from stack.stack import Stack
    from stack.state import read_state

__all__ = [
    "PARTS",
    "DataDirInUse",
    "PartFailed",
    "PortTaken",
    "ProgramMissing",
    "Stack",
    "StackConfig",
    "StackError",
    "read_state",
]

_HOME = {
    "PARTS": "config",
    "StackConfig": "config",
    "Stack": "stack",
    "read_state": "state",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME.get(name, 'errors')}"), name)
