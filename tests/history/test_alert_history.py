"""Alerts of the past out of a real Prometheus: when each fired, and what of it was observed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.history.alert_history import Alert, AlertHistory, Fired, NoAlertsError
from tests.history.prometheus import prometheus

pytestmark = pytest.mark.stack

START = 1_773_830_000 // 15 * 15
END = START + 7200
# Prometheus was away for 20 minutes from the end of the first hour on.
AWAY = (START + 3600, START + 4800)
BETA = ("FleetscopeSiteOffline", "beta", "page")
FLEET = ("FleetscopeManySitesOffline", "", "page")
# name, site, severity; firing from and to
FIRED = (
    (BETA, START + 600, START + 900),
    (BETA, START + 5400, START + 5415),
    (("FleetscopeBatteryHot", "delta", "ticket"), START - 3600, START + 1800),
    (FLEET, START + 6600, END + 600),
)


def samples() -> Iterator[str]:
    """Every fifteen seconds, as Prometheus evaluates and scrapes."""
    times = [t for t in range(START - 3600, END + 615, 15) if not AWAY[0] <= t < AWAY[1]]
    yield "# TYPE fleetscope_site_up gauge"
    yield from (f'fleetscope_site_up{{site="beta"}} 1 {t}' for t in times)
    for metric in ("ALERTS", "ALERTS_FOR_STATE"):
        yield f"# TYPE {metric} gauge"
        series: dict[str, list[str]] = {}
        for (name, site, severity), begin, end in FIRED:
            labels = f'alertname="{name}",severity="{severity}"' + (f',site="{site}"' * bool(site))
            state = ',alertstate="firing"' if metric == "ALERTS" else ""
            value = 1 if metric == "ALERTS" else begin - 60
            series.setdefault(labels, []).extend(
                f"{metric}{{{labels}{state}}} {value} {t}" for t in times if begin <= t < end
            )
        for lines in series.values():
            yield from lines


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with prometheus(tmp_path_factory.mktemp("prometheus"), samples()) as address:
        yield address


def fired(url: str, start: float, end: float) -> Fired:
    return asyncio.run(AlertHistory(url).fired(start, end))


def test_when_alerts_fired_and_what_fired_before(url: str) -> None:
    found = fired(url, START, END)
    by_site: dict[str, list[Alert]] = {}
    for alert in found.alerts:
        by_site.setdefault(alert.site, []).append(alert)
    first, second = by_site["beta"]
    assert (first.name, first.severity, first.known_before) == (BETA[0], "page", False)
    assert first.start == pytest.approx(START + 600, abs=30)
    assert first.end == pytest.approx(START + 900, abs=30)
    # A single evaluation is seen too.
    assert second.start == pytest.approx(START + 5400, abs=30)
    (hot,) = by_site["delta"]
    assert hot.known_before
    assert hot.start == START - 3660
    assert hot.end == pytest.approx(START + 1800, abs=30)
    (fleet,) = by_site[""]
    assert fleet.end is None
    assert found.observed_ratio == pytest.approx(1 - 1200 / 7200, abs=0.01)


def test_now(url: str) -> None:
    found = asyncio.run(AlertHistory(url).firing(END))
    assert [(a.name, a.start) for a in found.alerts] == [(FLEET[0], START + 6540)]
    assert found.observed_ratio == 1


def test_nothing_observed_is_no_quiet_time(url: str) -> None:
    unseen = fired(url, AWAY[0], AWAY[1] - 15)
    assert (unseen.alerts, unseen.observed_ratio) == ((), 0)
    assert asyncio.run(AlertHistory(url).firing(START + 1e7)).observed_ratio == 0


def test_a_prometheus_that_is_away_or_is_none(url: str, tmp_path: Path) -> None:
    with pytest.raises(NoAlertsError, match="does not answer"):
        fired("http://127.0.0.1:9", START, END)
    with pytest.raises(NoAlertsError, match="answered 404"):
        fired(f"{url}/nowhere", START, END)
