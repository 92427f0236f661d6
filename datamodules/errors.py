"""Errors of data: the message tells what to put right."""


class DataError(ValueError):
    """Data that cannot be used; the message names it, the rule and the way out."""


class MissingShardError(DataError, FileNotFoundError):
    """A shard that is not where a pattern names it."""

    def __str__(self) -> str:
        return str(self.args[0])


class UnreadableError(DataError):
    """One sample that cannot be read; a run leaves it out, and counts it.

    Args:
        source: the shard or folder that it is in.
        key: its name there.
        reason: what is wrong with it.
    """

    def __init__(self, source: str, key: str, reason: str) -> None:
        super().__init__(source, key, reason)  # all of them, to be pickled
        self.source = source
        self.key = key
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.source}: sample {self.key!r} {self.reason}"
