"""The databases that a command works on, where projects have databases of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from exporter.config.fleet_file import FleetFileError, load_fleet
from exporter.config.project_databases import databases_of
from exporter.config.settings import Settings, SettingsError
from exporter.drivers import DRIVERS


def site_projects(settings: Settings) -> Mapping[str, str | None]:
    """The project of every site of the fleet file.

    Raises
    ------
    SettingsError
        The fleet file is not named, or is wrong.
    """
    if settings.fleet is None:
        raise SettingsError("projects have databases of their own: name the fleet file (--fleet)")
    try:
        return {site.id: site.project for site in load_fleet(settings.fleet, DRIVERS).sites}
    except FleetFileError as error:
        raise SettingsError(str(error)) from None


def title(project: str | None) -> str:
    """What people call a database."""
    return f"project {project}" if project else "all other sites"


class Databases:
    """The databases of the settings, by project; None is that of all other sites.

    Raises
    ------
    SettingsError
    """

    def __init__(self, settings: Settings) -> None:
        self.by_project = databases_of(settings)
        self.are_several = bool(set(self.by_project) - {None})
        self._projects = site_projects(settings) if self.are_several else {}

    def of(self, site: str) -> str | None:
        """The key of the database of a site."""
        project = self._projects.get(site)
        return project if project in self.by_project else None

    def sites_of(self, key: str | None) -> frozenset[str]:
        """Sites of the fleet file in a database."""
        return frozenset(site for site in self._projects if self.of(site) == key)

    def with_sites(self, sites: Iterable[str]) -> Iterator[tuple[str | None, tuple[str, ...]]]:
        """Databases with those of the given sites that they hold; all databases without any."""
        given = tuple(sites)
        for key in self.by_project:
            own = tuple(site for site in given if self.of(site) == key)
            if own or not given:
                yield key, own
