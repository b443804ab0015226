"""The ledger of tickets: what is open where. It survives restarts; one exporter alone keeps it."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Literal

from exporter.config.side_file import SideFileError

State = Literal["opening", "open", "closed"]
KEPT_SECONDS = 90 * 86400.0


@dataclass(slots=True)
class Entry:
    """The ticket of one incident at one destination; times are Unix seconds.

    ``opening`` is a ticket that was sent for, of which it is not known whether it was made.
    """

    destination: str
    key: str
    number: str
    state: State
    since: float
    opened: float
    severity: str
    sentence: str
    remote: str | None = None
    updated: float = 0.0
    gone: float | None = None
    closed: float | None = None
    times: int = 1


@dataclass(slots=True)
class Ledger:
    """All entries, by destination and key."""

    entries: dict[tuple[str, str], Entry] = field(default_factory=dict)
    path: Path | None = None

    def save(self) -> None:
        """Write it in one step; it is on disk when this returns.

        Raises
        ------
        OSError
        """
        if self.path is None:
            return
        new = self.path.with_suffix(".new")
        with new.open("w", encoding="utf-8") as file:
            json.dump([asdict(entry) for entry in self.entries.values()], file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.path)

    def forget(self, now: float) -> None:
        """Leave out what was closed long ago."""
        for place, entry in list(self.entries.items()):
            if entry.closed is not None and now - entry.closed > KEPT_SECONDS:
                del self.entries[place]


def read_ledger(folder: Path) -> Ledger:
    """The ledger in a folder; an empty one where there is none.

    Raises
    ------
    SideFileError
    """
    path = folder / "tickets.json"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Ledger(path=path)
    except (OSError, UnicodeDecodeError) as error:
        raise SideFileError(f"{path} cannot be read: {error}") from error
    try:
        entries = [Entry(**entry) for entry in json.loads(text)]
    except (ValueError, TypeError) as error:
        # An empty ledger would open every ticket again.
        raise SideFileError(f"{path} is damaged; restore it, or move it away: {error}") from error
    return Ledger({(entry.destination, entry.key): entry for entry in entries}, path)


def in_use(folder: Path) -> bool:
    """Whether an exporter keeps its tickets in a folder now; changes nothing."""
    try:
        with (folder / "lock").open("r", encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def lock(folder: Path) -> IO[str]:
    """Take the folder for this process for as long as the file is open.

    Raises
    ------
    SideFileError
        Where another exporter has it, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / "lock").open("w", encoding="utf-8")
    except OSError as error:
        raise SideFileError(f"{folder} cannot be used for tickets: {error.strerror}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise SideFileError(f"another exporter keeps its tickets in {folder}") from error
    return file
