"""What a rule of scoring holds. Data only, free of numpy, since the command line loads it too."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from scoring.weights import CRITICAL_CAP, WARNING_CAP

NO_CAP = 100.0
COMES_BACK_SECONDS = 7200.0
"""Pause up to which an issue that begins again is the one of before that came back, and the longest
time for which its value must then stay inside: a voltage that PV lifts at noon is down in between
for as long as the clouds last."""
ODD_PREFIX = "odd_"
"""Of the code of what is no issue, but odd beside peers."""
_NAMES = {
    "soh": "State of health",
    "soh_trend": "Trend of the state of health",
    "soh_falling": "State of health falling",
    "pv_performance": "PV performance",
    "pv_underperforming": "PV underperforming",
    "pv_low": "PV low",
    "battery_soh": "State of health",
    "battery_soc": "State of charge",
}


def name_of(name: str) -> str:
    """What a person calls the code of an issue, or a metric, at the beginning of a sentence."""
    if name.startswith(ODD_PREFIX):
        return f"Odd {in_a_sentence(name.removeprefix(ODD_PREFIX))}"
    return _NAMES.get(name, name.replace("_", " ").capitalize())


def in_a_sentence(name: str) -> str:
    """The same within a sentence."""
    text = name_of(name)
    return text if text[:2].isupper() else text[0].lower() + text[1:]


class Severity(IntEnum):
    """Severity of an issue; NONE marks sites that do not have it."""

    NONE = 0
    INFO = 1
    WARNING = 2
    CRITICAL = 3


class Side(Enum):
    """On which side of its limit a value is an issue.

    ``STATE`` compares nothing: something else than a limit decides, and the limit, if there is one,
    is only shown.
    """

    BELOW = "below"
    ABOVE = "above"
    STATE = ""


@dataclass(frozen=True, slots=True)
class Limit:
    """A number that values are compared with.

    Attributes
    ----------
    name : str
        Its name; of a configurable one the key in the fleet file's ``thresholds``.
    default : float
        NaN where it differs from site to site and is calculated.
    unit : str
    lowest, highest : float
        What the fleet file may set it to, both inclusive unless ``above_lowest``.
    above_lowest : bool
        Whether ``lowest`` itself is out.
    configurable : bool
        Whether the fleet file may set it.
    less_than : str
        Name of a limit that it must lie below.
    note : str
        A remark for its reference.
    release : float
        How far back inside the limit a value must come for its issue to end, in ``unit``, so that a
        value that hovers at its limit is one issue and not fifty. At least 0.
    settle_seconds : float
        How long a value must have stayed inside the limit for its issue to end, so that one that
        swings far across its limit is one issue as well. At least 0.
    comes_back : bool
        Whether an issue that comes back within :data:`COMES_BACK_SECONDS` ends more slowly then:
        its value must have stayed inside for twice the pause that there was. Not what is critical.
    """

    name: str
    default: float
    unit: str = ""
    lowest: float = 0.0
    highest: float = 0.0
    above_lowest: bool = False
    configurable: bool = False
    less_than: str = ""
    note: str = ""
    release: float = 0.0
    settle_seconds: float = 0.0
    comes_back: bool = False


@dataclass(frozen=True, slots=True)
class Level:
    """One degree of an issue. The value is strictly on the side of the limit.

    Attributes
    ----------
    severity : Severity
    points : float
        What it takes from its component's 100.
    side : Side
    limit : str
        Name of the limit, empty where there is none.
    further : float
        How far beyond the limit the level begins.
    when : str
        What the documentation says instead of subject, side and limit.
    cap : float or None
        What it holds the overall score to at most; None stands for the cap of its severity.
    """

    severity: Severity
    points: float
    side: Side = Side.STATE
    limit: str = ""
    further: float = 0.0
    when: str = ""
    cap: float | None = None

    @property
    def holds_to(self) -> float:
        """The highest overall score while this level holds, 0 to 100."""
        if self.cap is not None:
            return self.cap
        return {Severity.CRITICAL: CRITICAL_CAP, Severity.WARNING: WARNING_CAP}.get(
            self.severity, NO_CAP
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of issue.

    Attributes
    ----------
    code : str
        Stable name, the ``code`` label of ``fleetscope_site_issue``.
    component : str
        The component score that it belongs to; ``devices`` is none of the four.
    subject : str
        What is judged, as a person calls it.
    unit : str
        Unit of its value and limit; ``%`` of a ratio is written as a percentage.
    decimals : int
        Digits after the point of the value in sentences.
    levels : tuple of Level
        The worst first; of those that hold, the first decides.
    sentence : str
        Format string over ``value``, ``limit`` (both with their unit) and ``detail``.
    action : str
        What to do first.
    input : str
        Reading without which it cannot be judged; empty where there is no single one.
    visit : bool
        Whether it ends in a visit to the site.
    as_percent : bool
        Whether value and limit are ratios that sentences show in percent.
    follows : tuple of str
        Codes of issues that bring this one about: whoever sees to them has seen to this one.
    family : str
        Rules of one family judge one cause: of those that hold, only the largest deduction counts.
    source : str
        Where limit and deduction come from.
    lasts_seconds : float
        Of a state: for how long after it was last there its issue goes on, so that one that comes
        and goes is one issue. At least 0.
    """

    code: str
    component: str
    subject: str
    unit: str
    decimals: int
    levels: tuple[Level, ...]
    sentence: str
    action: str
    input: str = ""
    visit: bool = False
    as_percent: bool = False
    follows: tuple[str, ...] = ()
    family: str = ""
    source: str = ""
    lasts_seconds: float = 0.0
