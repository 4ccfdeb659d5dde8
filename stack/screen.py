"""What the supervisor tells about its parts, and the silent listener that a library wants."""

from typing import Protocol


class Screen(Protocol):
    """Where a stack reports to. Called from its event loop: must not block."""

    def line(self, part: str, text: str) -> None:
        """A line that the part wrote."""

    def starting(self, part: str) -> None:
        """Its process is being started for the first time."""

    def ready(self, part: str, seconds: float) -> None:
        """It answers, `seconds` after its process was started."""

    def trouble(self, part: str, sentence: str) -> None:
        """It died, or keeps dying."""


class Silence:
    """Tests and benchmarks read the log files instead."""

    def line(self, part: str, text: str) -> None: ...
    def starting(self, part: str) -> None: ...
    def ready(self, part: str, seconds: float) -> None: ...
    def trouble(self, part: str, sentence: str) -> None: ...
