"""One machine's development stack: PostgreSQL, Temporal, payment service, worker and gateway, supervised.

async with Stack(StackConfig.for_tests(data_dir)) as stack:
    await stack.kill("worker")
    await stack.wait_ready("worker")
"""

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
