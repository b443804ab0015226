"""What was really wrong with a site, and when."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Paging(StrEnum):
    """Whether somebody is called at night for what a label describes."""

    DUE = "due"
    ALLOWED = "allowed"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Label:
    """A fault of one site, or something innocent that looks like one.

    Attributes
    ----------
    site : str
    fault : str
        Its name, under which results are summed up.
    begin, end : float
        Unix seconds, ``end`` later than ``begin``.
    strength : str
        Such as ``SOH 82 %``; empty where the fault has none.
    codes : frozenset of str
        Codes of issues, any of which is a right finding. Empty for a look-alike, and for a fault
        that no detector claims to find.
    tolerated : frozenset of str
        Further codes that are neither wanted nor wrong.
    paging : Paging
    innocent : bool
        Whether nothing is wrong: any finding outside of ``tolerated`` is false.
    """

    site: str
    fault: str
    begin: float
    end: float
    strength: str = ""
    codes: frozenset[str] = frozenset()
    tolerated: frozenset[str] = frozenset()
    paging: Paging = Paging.ALLOWED
    innocent: bool = False

    def __post_init__(self) -> None:
        if not self.begin < self.end:
            raise ValueError(f"{self.site}: {self.fault} ends before it begins")
        if self.innocent and self.codes:
            raise ValueError(f"{self.site}: {self.fault} is innocent, so no code can be right")

    def covers(self, time: float, linger_seconds: float) -> bool:
        """Whether something that begins at a moment may be its doing."""
        return self.begin <= time <= self.end + linger_seconds

    @property
    def claimed(self) -> bool:
        """Whether a detector claims to find it."""
        return bool(self.codes)
