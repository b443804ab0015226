"""The PV arrays of a fleet, of which a site may have several."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from exporter.config.fleet import Site
from exporter.config.site_kinds import PvArray
from scoring.pv_power import Expected, sum_of_arrays

FloatArray = NDArray[np.float64]

FLAT_DEGREES = 1.0
"""Up to this tilt all directions make alike."""


@dataclass(frozen=True, slots=True, eq=False)
class PvArrays:
    """All arrays of a fleet.

    Attributes
    ----------
    panels : float array, shape (7, M)
        Latitude, longitude, tilt, azimuth (degrees), capacity (kW), temperature coefficient (1/°C)
        and losses (share) of each, as :func:`scoring.pv_power.expected_power` takes them; NaN
        where unknown.
    site_of : int array, shape (M,)
        Row of the site that it belongs to.
    limit_w : float array, shape (N,)
        What the inverters of a site give at most, W; NaN without a limit.
    """

    panels: FloatArray
    site_of: NDArray[np.intp]
    limit_w: FloatArray

    @classmethod
    def of(cls, sites: Sequence[Site]) -> PvArrays:
        """The arrays of sites; a site without a block ``pv`` is one array."""
        columns, rows = [], []
        for row, site in enumerate(sites):
            given: tuple[PvArray | None, ...] = site.pv.arrays if site.pv else ()
            for array in given or (None,):
                rows.append(row)
                columns.append(_panel(site, array))
        limits = [site.pv.ac_limit_kw if site.pv else None for site in sites]
        return cls(
            np.array([[math.nan if v is None else v for v in c] for c in columns]).T.reshape(7, -1),
            np.array(rows, dtype=np.intp),
            np.array([math.nan if kw is None else 1000.0 * kw for kw in limits]),
        )

    @property
    def of_known_direction(self) -> NDArray[np.bool_]:
        """Sites whose arrays all have a tilt and, unless they lie flat, an azimuth in the fleet
        file, shape (N,)."""
        tilt, azimuth = self.panels[2:4]
        unknown = np.isnan(tilt) | (np.isnan(azimuth) & (tilt > FLAT_DEGREES))
        known = np.ones(self.limit_w.shape, dtype=bool)
        known[self.site_of[unknown]] = False
        return known

    def of_sites(self, expected: Expected | None) -> Expected | None:
        """What sites should make, of what each of :attr:`panels` should."""
        if expected is None or not self.limit_w.size:
            return expected
        return sum_of_arrays(expected, self.site_of, self.limit_w)


def _panel(site: Site, array: PvArray | None) -> tuple[float | None, ...]:
    place = site.latitude, site.longitude
    if array is None:
        return *place, site.tilt, site.azimuth, site.solar_capacity_kw, None, None
    return (
        *place,
        site.tilt if array.tilt is None else array.tilt,
        site.azimuth if array.azimuth is None else array.azimuth,
        array.kwp,
        array.temperature_coefficient,
        None if array.losses_percent is None else array.losses_percent / 100,
    )
