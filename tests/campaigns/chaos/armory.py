"""Failpoints, armed and watched from outside, through the file that `tests.campaigns.firing` looks at."""

import asyncio
import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runtime.failpoints import Boundary, Step
from tests.campaigns.chaos.verdicts import Void
from tests.campaigns.firing import Action, fired_path
from tests.campaigns.registry import STEPS

_LOOK = 0.02


class Armory:
    """`path` is what `FAILPOINT_ARMINGS` names; `note` counts a fault that happened."""

    def __init__(self, path: Path, note: Callable[[str], None]) -> None:
        self._path, self._note = path, note
        self._armings: dict[str, dict[str, Any]] = {}
        self._numbers = itertools.count(1)

    def arm(
        self, step: Step, boundary: Boundary, action: Action, *, hit: int = 1, times: int = 1, seconds: float = 0.0
    ) -> str:
        """Arm one failpoint in whatever process passes it. Answers the arming's id."""
        assert boundary in STEPS[step].boundaries, f"{step} has no boundary {boundary}"
        arming = f"{step}.{boundary}#{next(self._numbers)}"
        self._armings[arming] = {
            "id": arming, "step": step, "boundary": boundary, "action": action, "hit": hit, "times": times,
            "seconds": seconds,
        }  # fmt: skip
        self._write_armings()
        return arming

    def disarm(self) -> None:
        """Nothing is armed any more."""
        self._armings.clear()
        self._write_armings()

    def _write_armings(self) -> None:
        draft = self._path.with_suffix(".draft")
        draft.write_text(json.dumps({"armings": list(self._armings.values())}))
        draft.replace(self._path)

    def firings(self, arming: str | None = None) -> list[dict[str, Any]]:
        """Every firing on record, or those of one arming: what was armed plus `pid` and `at` (unix seconds)."""
        record = fired_path(self._path)
        lines = record.read_text().splitlines() if record.exists() else []
        return [entry for line in lines if (entry := json.loads(line))["id"] == (arming or entry["id"])]

    async def fired(self, arming: str, within: float = 30.0) -> dict[str, Any]:
        """The arming's first firing, once there is one. Raises `Void` when it does not fire in time."""
        deadline = time.monotonic() + within
        while not (found := self.firings(arming)):
            if time.monotonic() > deadline:
                raise Void(f"{arming} did not fire within {within:g} s")
            await asyncio.sleep(_LOOK)
        self._note(f"failpoint {found[0]['action']}")
        return found[0]
