"""Finds the points that InfluxDB refuses, in a batch that it does not take."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from exporter.store.queue import Batch, compress, subject, unpack
from exporter.store.target import RefusedError, RetryLaterError

Write = Callable[[bytes, str], Awaitable[None]]

# A proxy in trouble also answers 400. A refusal by InfluxDB itself counts once a point that was
# taken before is taken again; any other refusal only after so many rounds of that check.
ROUNDS = 3
# Single points that may be refused before any point was accepted.
UNDECIDED = 8


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that will never be taken, with the server's own words."""

    line: str
    words: str


class KnownGood:
    """A point that the server took before. Sending it again changes nothing, and shows whether it
    now refuses everything."""

    def __init__(self) -> None:
        self._body: bytes | None = None
        self._policy = ""
        self._whole = False

    def accepted(self, body: bytes, policy: str) -> None:
        """A batch was taken."""
        self._body, self._policy, self._whole = body, policy, True

    @property
    def known(self) -> bool:
        """Whether anything was taken yet."""
        return self._body is not None

    def is_other(self, body: bytes) -> bool:
        """Whether there is one, and this body is another."""
        return self._body is not None and self._body != body

    async def check(self, write: Write, reason: str) -> None:
        """Send it again.

        Raises
        ------
        RetryLaterError
            The server refuses it now: the fault is not in the points.
        """
        if self._body is None:
            return
        if self._whole:
            self._body, self._whole = compress(unpack(self._body)[:1], 0.0).body, False
        try:
            await write(self._body, self._policy)
        except RefusedError as error:
            raise RetryLaterError(f"{reason}; and so it does for points it took before") from error


class Bisection:
    """The search for refused points in one batch; a second run continues the first."""

    def __init__(self, batch: Batch, known: KnownGood) -> None:
        lines = unpack(batch.body)
        self.batch = batch
        self.refused: list[Refused] = []
        self._known = known
        # First by measurement: often a whole one conflicts.
        kinds = groupby(sorted(lines, key=subject), key=subject)
        parts: list[Sequence[str]] = [list(part) for _, part in kinds]
        self._parts = parts[::-1] if len(parts) > 1 else _halves(lines)
        self._undecided: list[str] = []

    async def run(self, write: Write) -> None:
        """Send every part; afterwards all lines but those in ``refused`` are stored.

        Raises
        ------
        RetryLaterError
            Nothing is lost; run it again.
        """
        while self._parts or self._undecided:
            if not self._parts:
                if not self._known.known:
                    raise RetryLaterError("InfluxDB has taken no point yet, and refuses these")
                self._parts, self._undecided = [[line] for line in self._undecided], []
            part = self._parts[-1]
            body = compress(part, 0.0).body
            try:
                await write(body, self.batch.policy)
            except RefusedError as error:
                await self._refuse(part, body, error, write)
            else:
                self._known.accepted(body, self.batch.policy)
                self._parts.pop()

    async def _refuse(
        self, part: Sequence[str], body: bytes, error: RefusedError, write: Write
    ) -> None:
        if len(part) > 1 and not (_all_of(part, error) and self._known.known):
            self._parts.pop()
            self._parts += _halves(part)
            return
        if not self._known.known:
            self._parts.pop()
            self._undecided += part
            if len(self._undecided) > UNDECIDED:
                self._parts.append(self._undecided)
                self._undecided = []
                raise RetryLaterError(str(error))
            return
        for _ in range(1 if error.about_points else ROUNDS):
            await self._known.check(write, str(error))
            try:
                await write(body, self.batch.policy)
            except RefusedError as again:
                error = again
                if len(part) > 1 and not _all_of(part, error):
                    return
            else:
                self._parts.pop()
                return
        self._parts.pop()
        self.refused += [Refused(line, error.words) for line in part]


def _all_of(part: Sequence[str], error: RefusedError) -> bool:
    """Whether the server says of every line that it was left out."""
    return error.about_points and error.left_out is not None and error.left_out >= len(part)


def _halves(part: Sequence[str]) -> list[Sequence[str]]:
    """Both halves, the first one last, which is the next to be sent."""
    if len(part) < 2:
        return [part]
    middle = len(part) // 2
    return [part[middle:], part[:middle]]
