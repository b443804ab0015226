"""Publishes the portfolio by itself: whenever a day has ended, or the ledger, the contracts or the
telemetry say something new."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

from exporter.config.project_databases import databases_of
from exporter.config.settings import Settings, SettingsError
from exporter.config.side_file import SideFileError
from exporter.history.importing.ordered_sender import GaveUpError
from exporter.model.workers import BrokenProcessPool, WorkerProcess
from exporter.portfolio.contracts_file import Contracts, load_contracts
from exporter.portfolio.ledger import Ledger, LedgerError
from exporter.portfolio.market_days import MarketMonth, months
from exporter.portfolio.publication import Publisher, basis_of
from exporter.portfolio.published import Changes
from exporter.portfolio.stores import PortfolioStores
from exporter.store.influx import NoAnswerError

log = logging.getLogger(__name__)

TURN_SECONDS = 60.0
LOOK_SECONDS = 3600.0
"""How often telemetry is looked at; the ledger and the contracts are looked at every turn."""
WORK_SECONDS = 300.0
"""After so long no further month is begun; the next turn goes on."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one turn published.

    ``months`` were out of date; where ``is_whole`` is False, others still are.
    """

    months: int
    changes: Changes
    refusals: tuple[str, ...]
    is_whole: bool


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a turn looks at before it does more."""

    files: tuple[tuple[int, int] | None, ...]
    hour: int


class PortfolioJob:
    """Keeps what is published up to date, in a process at low priority.

    It does nothing where the settings name no ledger, contracts or InfluxDB, or as long as one of
    the files is absent.

    Parameters
    ----------
    settings : Settings
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.is_on = bool(settings.books and settings.contracts and databases_of(settings))
        self._process = WorkerProcess()
        self._seen: _Seen | None = None
        self._complaint = ""

    async def turn(self, now: float | None = None) -> None:
        """Publish what is out of date, if anything may be; ``now`` is Unix seconds."""
        if not self.is_on:
            return
        seen = self._look()
        if None in seen.files[:2] or seen == self._seen:
            return
        try:
            done = await self._process.run(bring_up_to_date, self._settings, now or time.time())
        except (
            *(SideFileError, LedgerError, SettingsError, NoAnswerError, GaveUpError),
            BrokenProcessPool,
        ) as error:
            self._complain(f"the portfolio is not published: {error}")
            return
        if done.refusals:
            self._complain(f"InfluxDB refused rows of the portfolio: {done.refusals[0]}")
            return
        self._complaint = ""
        if done.months:
            log.info(
                "portfolio: %d months published, %d rows written, %d removed",
                *(done.months, done.changes.written, done.changes.removed),
            )
        if done.is_whole:
            self._seen = seen

    def close(self) -> None:
        """End the process; blocks for up to five seconds."""
        self._process.close()

    def _look(self) -> _Seen:
        # What SQLite has not moved into the ledger itself yet is in a second file.
        books, contracts = self._settings.books, self._settings.contracts
        assert books is not None
        assert contracts is not None
        log_file = books.with_name(books.name + "-wal")
        files = tuple(_stamp(path) for path in (books, contracts, log_file))
        return _Seen(files, int(time.time() // LOOK_SECONDS))

    def _complain(self, text: str) -> None:
        if text != self._complaint:
            log.error("%s", text)
        self._complaint = text


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def bring_up_to_date(settings: Settings, now: float) -> Turn:
    """Publish the months that are out of date, the newest first.

    Raises
    ------
    SideFileError, LedgerError, SettingsError, NoAnswerError, GaveUpError
    """
    return asyncio.run(_bring_up_to_date(settings, now))


async def _bring_up_to_date(settings: Settings, now: float) -> Turn:
    assert settings.books is not None
    assert settings.contracts is not None
    terms = load_contracts(settings.contracts)
    changes, published, is_whole = Changes(), 0, True
    began = time.monotonic()
    with Ledger(settings.books, read_only=True) as ledger:
        first = ledger.first_period()
        if first is None:
            return Turn(0, changes, (), is_whole=True)
        zone = ZoneInfo(terms.zone)
        async with PortfolioStores(settings) as stores:
            publisher = Publisher(ledger, terms, stores.of)
            for month in reversed(list(months(first, now, zone, now))):
                if not _is_stale(stores, ledger, terms, month):
                    continue
                if time.monotonic() - began > WORK_SECONDS:
                    is_whole = False
                    break
                found = await publisher.publish(terms.sites, month.start, month.end, now)
                changes.add(found.total)
                published += 1
            return Turn(published, changes, tuple(stores.refusals), is_whole)


def _is_stale(
    stores: PortfolioStores, ledger: Ledger, terms: Contracts, month: MarketMonth
) -> bool:
    basis = basis_of(ledger, terms, month)
    known = stores.basis(month.start, month.end)
    for site in terms.sites:
        if stores.of(site.id) is None:
            continue
        row = known.get(site.id, {})
        resting_on = (row.get("days"), row.get("ledger_import"), row.get("contracts"))
        if resting_on != (basis.days, basis.ledger_import, basis.contracts):
            return True
        if row.get("stored", 0) != row.get("readings"):
            return True
    return False
