"""One object for what many sites of a fleet say alike: most keys and words of a large fleet.

The sites of a fleet file are read one by one, so that each has its own copy of the name of its
region, of the set of keys that it gave and of its driver's options. Models are frozen, so that one
copy does for all; it also crosses to other processes once.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from exporter.config.driver_options import DriverOptions
from exporter.config.fleet import Fleet, Site


def share_values(fleet: Fleet) -> None:
    """Let equal values of all sites be one object; the fleet stays equal to what it was."""
    known: dict[Hashable, Any] = {}
    for site in fleet.sites:
        _share_of_site(site, known)


def _share_of_site(site: Site, known: dict[Hashable, Any]) -> None:
    values = site.__dict__
    for name, value in values.items():
        if isinstance(value, (str, float)):
            values[name] = known.setdefault((value.__class__, value), value)
    _share_keys(site, known)
    options = site.options
    if options is not None and not options.__pydantic_private__:
        _share_keys(options, known)
        key = (options.__class__, options.model_dump_json(), frozenset(options.model_fields_set))
        private = site.__pydantic_private__
        if private is not None:
            private["_options"] = known.setdefault(key, options)


def _share_keys(model: Site | DriverOptions, known: dict[Hashable, Any]) -> None:
    given = model.__pydantic_fields_set__
    shared = known.setdefault(frozenset(given), given)
    object.__setattr__(model, "__pydantic_fields_set__", shared)
