"""What a stack tells about its parts: to nobody, unless a subclass listens (`stack.terminal`)."""


class Screen:
    """Where a stack reports to. Called from its event loop: must not block. Tests read the log files instead."""

    def line(self, part: str, text: str) -> None:
        """A line that the part wrote."""

    def starting(self, part: str) -> None:
        """Its process is being started for the first time."""

    def ready(self, part: str, seconds: float) -> None:
        """It answers, `seconds` after its process was started."""

    def trouble(self, part: str, sentence: str) -> None:
        """It died, or keeps dying."""
