"""What the processes of one exporter say to each other, beside each Delta."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from exporter.config.settings import Settings
from exporter.control.requests import ControlRequest
from exporter.intake.telemetry import Batch


@dataclass(frozen=True, slots=True)
class Begin:
    """The first message to a new process: the settings in force."""

    settings: Settings


@dataclass(frozen=True, slots=True)
class Ready:
    """The answer to Begin: everything it needs is in order; ``scheme`` is that of its URL."""

    scheme: str = ""


@dataclass(frozen=True, slots=True)
class Stop:
    """Answer what is under way, and end."""


@dataclass(frozen=True, slots=True)
class Reload:
    """Read the fleet file again."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """Telemetry that nodes have sent, checked and signed in."""

    batch: Batch


@dataclass(frozen=True, slots=True)
class OrderCommand:
    """What a caller asks of the dispatcher, signed in and checked."""

    number: int
    request: ControlRequest


@dataclass(frozen=True, slots=True)
class OrderAnswer:
    """The dispatcher's answer to the OrderCommand with the same number, and its HTTP status."""

    number: int
    status: int
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class AskExchange:
    """What was the last exchange with a site?"""

    number: int
    site: str


@dataclass(frozen=True, slots=True)
class Exchanged:
    """The answer to the AskExchange with the same number; None where the site is not polled."""

    number: int
    found: dict[str, object] | None


@dataclass(frozen=True, slots=True)
class Request:
    """A question for a worker: an HTTP request as ASGI has it, with its body."""

    number: int
    scope: dict[str, object]
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class SendReport:
    """Make the report of the report file, and send it where that says."""

    number: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """Nobody waits for the reply with this number any more."""

    number: int


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply to the Request, or what failed of the SendReport, with the same number.

    ``seconds`` is the processor time that it took. Work that was cancelled has a reply too.
    """

    number: int
    status: int = 200
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    failed: tuple[str, ...] = ()
    seconds: float = 0.0
