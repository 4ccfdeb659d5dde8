"""Which of the test processes runs what: a stack is started once, by whoever runs the first file of those that share
it, and the others of them follow it there. What takes longest begins first."""

from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

ROOT = Path(__file__).parents[1]
# In which order files begin: one process would be left with a long one when the others are done.
ORDER = (
    "campaigns/chaos",
    "campaigns/schedules",
    "e2e/test_outages.py",
    "e2e",
    "browser",
    "integration/stack",
    "security",
    "campaigns/upgrade",
    "integration",
    "workflow",
)
SHARING = ("campaigns/chaos", "e2e", "browser", "security")
"""Folders with a stack for all of their tests."""
APART = ("e2e/test_outages.py", "e2e/test_restore.py", "e2e/test_growth.py", "e2e/cli/test_demo.py")
"""Files in them that have stacks of their own."""


def in_order(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        return next((number for number, name in enumerate(ORDER) if item.path.is_relative_to(ROOT / name)), len(ORDER))

    items.sort(key=place)


def stack_of(file: str) -> str | None:
    """The folder whose stack the tests of a file share; None if they share none. `file` as in a test's id."""
    within = Path(file).relative_to(ROOT.name)
    if any(within.is_relative_to(name) for name in APART):
        return None
    return next((name for name in SHARING if within.is_relative_to(name)), None)


class ByStack(LoadFileScheduling):
    """File by file, each to the process that runs its stack. Who would idle otherwise starts another."""

    def __init__(self, config: pytest.Config, log: Producer | None = None) -> None:
        super().__init__(config, log)
        self._homes: dict[str, WorkerController] = {}

    def _assign_work_unit(self, node: WorkerController) -> None:
        fitting = (file for file in self.workqueue if self._homes.get(stack_of(file), node) is node)
        file = next(fitting, next(iter(self.workqueue)))
        if (stack := stack_of(file)) is not None:
            self._homes.setdefault(stack, node)
        self.workqueue.move_to_end(file, last=False)
        super()._assign_work_unit(node)
