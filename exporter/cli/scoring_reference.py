"""The reference of scores and issues, from the rules of scoring."""

from __future__ import annotations

from exporter.cli.markdown import page, table
from exporter.collect.site_record import JUMP_C
from exporter.collect.state import DEAD_GRID_RATIO
from exporter.model.figures import exact, with_unit
from exporter.model.text import duration_words
from scoring.battery import STEEP_ABOVE_V, STEEP_BELOW_PERCENT, STEEP_FROM_PERCENT
from scoring.cells.imbalance import DEFAULT_LIMITS
from scoring.confidence import PER_STUCK_SENSOR, PER_UNUSABLE_VALUE, WITHOUT_PAST
from scoring.connectivity import COMES_AND_GOES_INTERVALS, COMES_AND_GOES_SECONDS
from scoring.limits import FALLEN_BELOW, LIMITS, MUCH_FALLEN_BELOW
from scoring.outliers import DISCOVERY_RATE, FEWEST_FOR_SLOPE
from scoring.pv_past import (
    LEAST_USUAL_DAYS,
    RECENT_DAYS,
    RECENT_WITHIN,
    USUAL_DAYS,
)
from scoring.rule import COMES_BACK_SECONDS, NO_CAP, Level, Rule
from scoring.rules import (
    DEAD_PV_RATIO,
    NEARLY_NO_PV,
    PV_LASTING_SECONDS,
    RULES,
    UNKNOWN_DIRECTION_SECONDS,
    UNKNOWN_HEALTH_CAP,
)
from scoring.solar import FORGET_SECONDS
from scoring.status import GOOD_FROM, HEALTHY_FROM, WARNING_FROM
from scoring.weights import CRITICAL_CAP, WARNING_CAP, WEIGHTS
from scoring.window import BYTES_PER_SITE, DAYS, FIGURES, HOURS
from scoring.window_findings import STILL_HOURS


def scoring() -> str:
    """Reference of scores and issues."""
    weights = [(f"`{name}`", f"{weight:.2f}") for name, weight in WEIGHTS.items()]
    deductions = [
        (
            rule.component,
            _when(rule, level),
            f"{level.points:g}",
            level.severity.name.lower(),
            "–" if level.holds_to == NO_CAP else f"{level.holds_to:g}",
            f"`{rule.code}`",
        )
        for rule in RULES
        for level in rule.levels
    ]
    issues = [(f"`{r.code}`", r.component, r.unit or "–", r.action) for r in RULES]
    return page(
        "Scores and issues",
        "Four components from 0 to 100 are weighed into one overall score. The weight of a "
        "component of which nothing is known is shared out over the others, and what is missing is "
        "named and lowers the coverage: a silent sensor never reads as perfect health.",
        table(("component", "weight"), weights),
        f"Then a cap: an active critical issue holds the overall score to at most {CRITICAL_CAP:g},"
        f" an active warning to at most {WARNING_CAP:g}. From the score follows the status: HEALTHY"
        f" from {HEALTHY_FROM:g}, GOOD from {GOOD_FROM:g}, WARNING from {WARNING_FROM:g}, CRITICAL "
        "below. A site that has not answered for three intervals and 10 s is OFFLINE with 0; "
        "before its first scrape it is UNKNOWN.",
        "## Deductions",
        "Limits are those of the fleet file and stand here with their defaults. A value at its "
        "limit is still right. Of the rows of one code the first that holds counts. The last but "
        "one column is what the issue holds the overall score to at most.",
        table(("component", "when", "points", "severity", "at most", "code"), deductions),
        "An issue with a limit ends once its value is back inside by a margin, so that a value "
        "that hovers at its limit is one issue and not fifty. Some must have stayed inside for a "
        "while as well. Until then its sentence says so. Where the last column says so, an issue "
        f"that begins again within {duration_words(COMES_BACK_SECONDS)} ends only once its value "
        f"was inside for twice that pause, {duration_words(COMES_BACK_SECONDS)} at most: it came "
        "back, and is no new one each time. What is critical ends without that.",
        table(("limit", "margin", "inside for", "comes back"), _margins()),
        "Connectivity is 100 times the share of scrapes that worked in the last hour, of which a "
        "partial one counts half, and falls to 0 as the last one ages from 2 intervals to 3 "
        "intervals and 10 s. Where about half of the scrapes or more went unanswered, "
        "`scrapes_failing` goes on while the site is away, in place of `site_offline`, for "
        f"{duration_words(COMES_AND_GOES_SECONDS)} or {COMES_AND_GOES_INTERVALS:g} intervals, the "
        "longer of both.",
        f"A battery temperature that is more than {JUMP_C:g} °C above the one before is used once "
        "a second reading says so; until then that of before stands. One that the next reading "
        "denies is implausible. A battery that is hot already is believed at once.",
        "A device that does not say whether there is a grid, and that measured a live one before, "
        f"has lost it below {100 * DEAD_GRID_RATIO:g} % of nominal, if the site has a "
        "battery. A PV inverter without one sleeps at night: its voltage and frequency are not "
        "judged then.",
        "A battery of which neither state of health nor temperature nor cell voltages are known "
        f"may be in any state. Its site is held to {UNKNOWN_HEALTH_CAP:g}, so that it is GOOD at "
        "best and not HEALTHY, and has an issue that says so on every face; being for information "
        "only, it raises no alert. Where one of the three is known, the others are named as "
        "missing.",
        f"Below {STEEP_BELOW_PERCENT:g} % and from {STEEP_FROM_PERCENT:g} % of charge, there with "
        f"a highest cell of {STEEP_ABOVE_V:g} V or more, cells in good order lie far apart: there "
        "a spread is a warning above "
        f"{DEFAULT_LIMITS.ends[0]:g} V and critical above {DEFAULT_LIMITS.ends[1]:g} V, or above "
        "the fleet file's limits where they are higher. With an unknown charge the table holds.",
        "PV is judged over about an hour of daylight, without the time in which the battery is "
        "full, the BMS takes no charge or the controller holds the PV back: energy made against "
        "what a clear sky allows, and that ratio against the median of the neighbours in the same "
        "region, which sit under the same clouds; three with a value are needed. Under clouds all "
        "directions make alike, so the energy for each kWp is compared as well, and the better of "
        "both counts. With fewer neighbours, only PV that makes next to nothing (below "
        f"{100 * DEAD_PV_RATIO:g} % of a clear sky) is a warning. A yield must be low for "
        f"{duration_words(PV_LASTING_SECONDS)} of judged time, since horizons, trees and fog "
        f"lower healthy arrays for as long; below {100 * NEARLY_NO_PV:g} % of what neighbours "
        "make it is a warning at once. Where the fleet file lacks tilt or azimuth, it must be low "
        f"for {duration_words(UNKNOWN_DIRECTION_SECONDS)} with less than "
        f"{duration_words(FORGET_SECONDS)} between two comparisons, or make nothing for "
        f"{duration_words(PV_LASTING_SECONDS)}: in winter no day has so many hours. After a "
        "restart of the exporter the count begins again. At night, while all neighbours are full "
        "and while a site does not answer, the last judgement stays.",
        "Whole days of PV are held against the past of the site as well, which knows its "
        "direction, shade and inverter: of each day the yield beside the median of the neighbours, "
        f"the best of the last {RECENT_DAYS} days of {RECENT_WITHIN} that say something, against "
        f"the lower quarter of the oldest {USUAL_DAYS} of five weeks ({LEAST_USUAL_DAYS} at least) "
        "on which the sun counted for about as much. Below "
        f"{100 * FALLEN_BELOW:g} % of that it is low, below {100 * MUCH_FALLEN_BELOW:g} % a "
        "warning. A loss keeps what was usual before it; a change of the arrays in the fleet file "
        "begins anew, but a restart after it reads what was expected then, and knows five weeks.",
        "## Over time",
        f"Of each site a window is kept, {BYTES_PER_SITE / 1024:.1f} kB: sums of {HOURS} hours and "
        f"{DAYS} days. A restart fills it again from InfluxDB, a day by five minutes and what is "
        "before it from the roll-up of an hour. Its figures:",
        table(("figure", "what it is"), [(f"`{k}`", v) for k, v in FIGURES.items()]),
        "An issue of the grid that at least three sites of a region have, and at least half of "
        "them, is the grid's and says so. Issues of one cause (frequency; voltage; charge; heat; "
        "health; PV) deduct once: the largest counts.",
        "## Confidence",
        "Data quality is the coverage times the share of scrapes that worked in the last hour, "
        f"less {100 * PER_STUCK_SENSOR:g} % for each reading that stands still longer than its "
        f"kind ever does and {100 * PER_UNUSABLE_VALUE:g} % for each value outside physics. "
        "Confidence is the weighted share of the components' inputs (PV without neighbours counts "
        f"half), less up to {100 * WITHOUT_PAST:g} % for a day of past that is not known, and "
        "never above the data quality. Neither changes a score.",
        table(
            ("reading", "stands still after"),
            [(f"`{k}`", f"{v:g} h{_but(k)}") for k, v in STILL_HOURS.items()],
        ),
        "## Sources",
        table(("code", "where limit and points come from"), _sources()),
        "## Issues",
        table(("code", "component", "unit", "what to do first"), issues),
        "## Outliers",
        "Robust z = 0.6745 · (x - median) / MAD against the narrowest of battery type, region and "
        "fleet that has at least five members with a value (Iglewicz and Hoaglin, 1993); beyond "
        "3.5 is an outlier. MAD has a floor, so that a fleet in agreement has none. A flag must "
        f"hold among all sites and metrics as well, so that at most {100 * DISCOVERY_RATE:g} % of "
        "all flags are chance (Benjamini and Hochberg, 1995). Spread is not compared at the ends "
        "of the charge, PV only with neighbours of the same moment. Of the temperature, the part "
        "that the load of the last six hours explains is taken out first: the median slope of "
        "temperature over the mean square of the C-rate, of all pairs of sites beside the medians "
        "of their battery type (losses heat by the square of the current: Bernardi, Pawlikowski "
        f"and Newman, 1985; Theil, 1950), from {FEWEST_FOR_SLOPE} sites on; the median that an "
        "answer shows is what is usual at that load.",
    )


def _margins() -> list[tuple[str, str, str, str]]:
    return [
        (
            f"`{limit.name}`",
            with_unit(exact(limit.release), limit.unit),
            duration_words(limit.settle_seconds) if limit.settle_seconds else "–",
            "yes" if limit.comes_back else "–",
        )
        for limit in LIMITS.values()
        if limit.release
    ]


def _sources() -> list[tuple[str, str]]:
    return [(f"`{rule.code}`", rule.source) for rule in RULES if rule.source]


def _when(rule: Rule, level: Level) -> str:
    if level.when:
        return level.when
    limit = LIMITS[level.limit]
    value = exact(100 * limit.default) if rule.as_percent else exact(limit.default)
    unit = "%" if rule.as_percent else limit.unit
    when = f"{rule.subject} {level.side.value} {with_unit(value, unit)}"
    return when + (
        f", by more than {with_unit(exact(level.further), unit)}" if level.further else ""
    )


def _but(quantity: str) -> str:
    """What is left out of sensors that stand still."""
    return {
        "grid_frequency_hz": "; not where it comes in steps above 0.05 Hz, or in tenths so far",
        "voltage_v": "; not while the battery rests",
    }.get(quantity, "")
