"""The weather file: where irradiance and temperature of sites come from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from exporter.config.fleet import Site
from exporter.config.side_file import SideModel, beside, load

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$")]
PLACE_DIGITS = 1
"""Of degrees: sites within some 10 km share what a service says, which has no finer grid."""


class WeatherSource(SideModel):
    """A file, or an address in which ``{latitude}`` and ``{longitude}`` stand for those of a site.

    ``stamps`` says whether a time is the start or the end of what it stands for; without it the
    end for what has Open-Meteo's shape, as it documents, and the start for CSV.
    """

    file: Path | None = None
    url: (
        Annotated[str, StringConstraints(pattern=r"^https?://[^\s@]+$", max_length=2000)] | None
    ) = None
    stamps: Literal["start", "end"] | None = None
    refresh_minutes: Annotated[int, Field(ge=5, le=1440)] = 60

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.file is None) == (self.url is None):
            raise ValueError("name either file, a path, or url, an address")
        return self

    @property
    def by_place(self) -> bool:
        """Whether it is asked for each place."""
        return self.url is not None and "{latitude}" in self.url


class WeatherFile(SideModel):
    """Sources, and who has which; ``sites`` win over ``default``."""

    sources: Annotated[dict[Name, WeatherSource], Field(min_length=1, max_length=1000)]
    default: Name | None = None
    sites: Annotated[dict[str, Name], Field(default_factory=dict)]

    @model_validator(mode="after")
    def _known_names(self) -> Self:
        for name in (self.default, *self.sites.values()):
            if name is not None and name not in self.sources:
                raise ValueError(f"there is no source {name!r}; one of: {', '.join(self.sources)}")
        return self

    def place_of(self, site: Site) -> str | None:
        """The name under which a site's weather is stored; None where it has none."""
        name = self.sites.get(site.id) or self.default
        if name is None:
            return None
        if not self.sources[name].by_place:
            return name
        if site.latitude is None or site.longitude is None:
            return None
        place = (round(site.latitude, PLACE_DIGITS), round(site.longitude, PLACE_DIGITS))
        return f"{name}@{place[0] + 0.0},{place[1] + 0.0}"


def source_name(place: str) -> str:
    """The source of a place."""
    return place.partition("@")[0]


def address_of(source: WeatherSource, place: str) -> str:
    """Where the weather of a place is read."""
    assert source.url is not None  # only sources with an address are asked
    latitude, _, longitude = place.partition("@")[2].partition(",")
    return source.url.replace("{latitude}", latitude).replace("{longitude}", longitude)


def load_weather(path: Path) -> WeatherFile:
    """Read a weather file. Files that it names lie beside it, unless their paths are absolute.

    Raises
    ------
    exporter.config.side_file.SideFileError
    """
    found = load(path, WeatherFile)
    return found.model_copy(update={"sources": beside(path, found.sources)})
