"""Sites by name for commands that need no running exporter."""

from __future__ import annotations

from collections.abc import Iterable

from exporter.ask.lookup import Directory
from exporter.config.settings import Settings


def site_ids(settings: Settings, names: Iterable[str]) -> tuple[str, ...]:
    """Ids of the sites that ids, names or parts of either mean, by the fleet file of the settings.

    Without a fleet file they are taken for ids: what is stored may be of sites of the past.

    Raises
    ------
    exporter.ask.lookup.UnknownSiteError
    exporter.config.fleet_file.FleetFileError
    """
    given = tuple(names)
    if settings.fleet is None or not given:
        return given
    from exporter.config.fleet_file import load_fleet
    from exporter.drivers import DRIVERS

    directory = Directory(load_fleet(settings.fleet, DRIVERS))
    return tuple(dict.fromkeys(directory.find(name) for name in given))
