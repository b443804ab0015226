"""The Snapshot: what one scrape of one site found. Immutable, and free of any protocol."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from exporter.model.text import plain_line

MISSING = math.nan


class Outcome(StrEnum):
    """How a scrape ended; a closed list, and the ``outcome`` label of the scrape counter."""

    OK = "ok"
    PARTIAL = "partial"
    TIMEOUT = "timeout"
    REFUSED = "refused"
    DNS = "dns"
    TLS = "tls"
    HTTP_STATUS = "http_status"
    MALFORMED = "malformed"
    TRUNCATED = "truncated"

    @property
    def answered(self) -> bool:
        """Whether the site gave readings, be it only some of them."""
        return self in (Outcome.OK, Outcome.PARTIAL)


OUTCOME_MEANINGS: Mapping[Outcome, str] = MappingProxyType(
    {
        Outcome.OK: "everything asked for was read",
        Outcome.PARTIAL: "the site answered, but a part of it did not",
        Outcome.TIMEOUT: "no answer, or no whole answer, within the time allowed",
        Outcome.REFUSED: "connection refused, reset, unreachable or closed without an answer",
        Outcome.DNS: "the host name has no address",
        Outcome.TLS: "no trusted TLS connection",
        Outcome.HTTP_STATUS: "an HTTP status other than 200",
        Outcome.MALFORMED: "the reply is not what this driver's protocol says",
        Outcome.TRUNCATED: "the reply was cut short",
    }
)


class ReadingState(StrEnum):
    """The four states of a reading, never confused with one another."""

    NUMBER = "number"
    MISSING = "missing"
    IMPLAUSIBLE = "implausible"
    STALE = "stale"


Readings = Mapping[str, float]
"""Quantity name to value. NaN says that the device has no such value (missing). A name that is
absent was not asked for in this scrape, and what is known of it from before stays in force until
it is stale."""


@dataclass(frozen=True, slots=True)
class Implausible:
    """A value that cannot be used: outside physical limits, or of a wrong type.

    It is counted, and kept away from scores and storage.

    Attributes
    ----------
    device, quantity : str
    value : float
        NaN where it is of a wrong type.
    given : str
        A value of a wrong type as a message shows it; empty for a number.
    hint : str
        What may explain it, such as another unit; empty where nothing does.
    """

    device: str
    quantity: str
    value: float
    given: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that a driver found out and that no reading can say.

    Attributes
    ----------
    code : str
        Code of an issue in the catalogue.
    device : str
        The device that it is about, or ``site``.
    detail : str
        What exactly; it completes the issue's sentence.
    """

    code: str
    device: str
    detail: str


@dataclass(frozen=True, slots=True)
class Cells:
    """Per-cell values of one pack.

    ``labels``, ``voltages_v`` and ``temperatures_c`` have the same length; NaN is missing.
    """

    labels: tuple[str, ...]
    voltages_v: Sequence[float]
    temperatures_c: Sequence[float]


@dataclass(frozen=True, slots=True)
class BatterySnapshot:
    """One battery of a site: its device id, its readings and, where published, its cells."""

    device: str
    active: bool
    readings: Readings
    cell_min_id: str | None = None
    cell_max_id: str | None = None
    cells: Cells | None = None


@dataclass(frozen=True, slots=True)
class MeterSnapshot:
    """One meter of a site: its device id, and its readings by the names of the measurement
    ``meter``. Power is positive in the sense of what the meter measures: import, consumption or
    production."""

    device: str
    readings: Readings


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one scrape of one site found.

    Attributes
    ----------
    site : str
        Site id.
    time : float
        UTC time of receipt, Unix seconds.
    duration : float
        Seconds that the scrape took.
    outcome : Outcome
    detail : str
        A sentence for a person where the outcome is not ``ok``; never holds a secret.
    readings : Readings
        Site readings, by quantity name.
    batteries : tuple of BatterySnapshot
        The batteries read in this scrape.
    alarms : mapping of device id to mapping of alarm name to level
        Levels 0 (ok), 1 (warning) and 2 (alarm) of the devices read in this scrape.
    alarm_texts : mapping of device id to mapping of alarm name to text
        What an alarm or code means, where a table knows it: ``error 17, phase master missing``.
    notices : tuple of Notice
        Complete at every Snapshot: one that is not repeated is over.
    devices : frozenset of str or None
        Ids of all devices that the site has at present, None where this scrape could not find out.
    silence_seconds : float
        How long the site may give nothing after this, since one of its devices holds it up.
    implausible : tuple of Implausible
    properties : mapping
        What the site says of itself: serial, product, firmware.
    meters : tuple of MeterSnapshot
        The meters read in this scrape.
    way : str
        The way in by which it was read, of a site that has several; else empty.
    measured : float or None
        When it was measured by the device's own clock, Unix seconds; None where no device says.
    current : bool
        Whether it is of now. What is not is stored and changes no state.
    repeated : bool
        Whether nothing was measured since the Snapshot of the same time. It is not stored again.
    """

    site: str
    time: float
    duration: float
    outcome: Outcome
    detail: str = ""
    readings: Readings = field(default_factory=dict)
    batteries: tuple[BatterySnapshot, ...] = ()
    alarms: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    alarm_texts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()
    silence_seconds: float = 0.0
    devices: frozenset[str] | None = None
    implausible: tuple[Implausible, ...] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    meters: tuple[MeterSnapshot, ...] = ()
    way: str = ""
    measured: float | None = None
    current: bool = True
    repeated: bool = False


class ScrapeError(Exception):
    """A scrape that gave nothing: the one error type of every driver.

    Parameters
    ----------
    outcome : Outcome
        The reason, any but ``ok`` and ``partial``.
    detail : str
        What happened and where, for a person; it may be shown and logged, so it holds no secret.
    """

    def __init__(self, outcome: Outcome, detail: str) -> None:
        # Parts of it may come from the site.
        detail = plain_line(detail)
        super().__init__(detail)
        self.outcome = outcome
        self.detail = detail
