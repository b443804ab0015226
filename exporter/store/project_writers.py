"""A writer for each database: the lines of a site go to that of its project."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Mapping, Sequence

from exporter.assess.assessment import FleetAssessment, Issue
from exporter.config.fleet import Site
from exporter.config.project_databases import databases_of
from exporter.config.settings import Settings, SettingsError
from exporter.store.connection import Connection, connection_of
from exporter.store.line_protocol import assessment_lines
from exporter.store.queue_stats import SpoolNumbers
from exporter.store.writer import Writer, writer_of


class ProjectWriters:
    """Writers by project; each has a queue, a sender and waits of its own.

    Parameters
    ----------
    writers : mapping of project or None to Writer
        None is the database of sites without a project, and of projects without one of their own.
    settings : mapping of project or None to Settings
        Those that the writers were made of.
    """

    def __init__(
        self, writers: Mapping[str | None, Writer], settings: Mapping[str | None, Settings]
    ) -> None:
        self._writers = dict(writers)
        self._settings = dict(settings)

    @property
    def by_project(self) -> Mapping[str | None, Writer]:
        """The writers."""
        return self._writers

    def key_of(self, project: str | None) -> str | None:
        """The key of the database that a project's sites go to."""
        return project if project in self._writers else None

    def of(self, project: str | None) -> Writer | None:
        """The writer of a project's sites; None where they are not stored."""
        return self._writers.get(self.key_of(project))

    def connections(self) -> Iterable[tuple[str | None, Writer, Connection]]:
        """Each database with its writer and how to read it."""
        for project, writer in self._writers.items():
            connection = connection_of(self._settings[project])
            assert connection is not None  # every database has an address
            yield project, writer, connection

    def add_assessment(
        self, assessment: FleetAssessment, cleared: Sequence[tuple[str, Issue]]
    ) -> None:
        """Store an Assessment; see :func:`exporter.store.line_protocol.assessment_lines`."""
        projects = {site.id: site.project for site in assessment.fleet.sites}
        for key, writer in self._writers.items():

            def is_here(site: Site, key: str | None = key) -> bool:
                return self.key_of(site.project) == key

            gone = [(s, issue) for s, issue in cleared if self.key_of(projects.get(s)) == key]
            everything = len(self._writers) == 1 and key is None
            writer.add(assessment_lines(assessment, gone, None if everything else is_here))

    def start(self) -> None:
        """Start sending; must be called inside the event loop."""
        for writer in self._writers.values():
            writer.start()

    async def stop(self) -> None:
        """Send what waits, to all databases at once; see :meth:`Writer.stop`."""
        await asyncio.gather(*(writer.stop() for writer in self._writers.values()))

    @property
    def writes(self) -> int:
        """Batches sent."""
        return sum(writer.stats.writes for writer in self._writers.values())

    @property
    def errors(self) -> int:
        """Batches or requests that were not accepted."""
        return sum(writer.stats.errors for writer in self._writers.values())

    def spools(self) -> dict[str | None, SpoolNumbers]:
        """The numbers of each queue."""
        return {
            project: SpoolNumbers.of(writer.queue, self._settings[project])
            for project, writer in self._writers.items()
        }


def writers_of(settings: Settings, rng: random.Random) -> ProjectWriters:
    """The writers of the settings; none where nothing is to be stored.

    Raises
    ------
    SystemExit
        Another exporter has a queue, or the file of projects is wrong.
    """
    try:
        databases = databases_of(settings)
    except SettingsError as error:
        raise SystemExit(f"fleetscope: {error}") from None
    if not databases:
        # Reports that nothing is stored.
        writer_of(settings, rng)
    writers = {}
    for project, own in databases.items():
        writer = writer_of(own, rng)
        assert writer is not None  # every database has an address
        writers[project] = writer
    return ProjectWriters(writers, databases)
