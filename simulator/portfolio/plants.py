"""The three plants and the troubles that each of them has."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plant:
    """A battery plant as it was bought, and how well it behaves.

    ``drops_a_week`` and ``drop_minutes`` are losses of communication; ``trips_a_month`` and
    ``trip_hours`` forced outages, of which ``repeats`` says how often each comes back;
    ``deratings_a_month`` failures of cooling; ``fade_a_year`` the loss of health in percent.
    """

    id: str
    name: str
    vendor: str
    battery: str
    power_kw: float
    usable_kwh: float
    latency_ms: float
    drops_a_week: float
    drop_minutes: float
    trips_a_month: int
    trip_hours: float
    repeats: int
    deratings_a_month: int
    soh: float
    fade_a_year: float
    cycles: float
    response_mw: float
    region: str
    latitude: float
    longitude: float
    wear_per_cycle: float
    charge_efficiency: float = 0.94
    discharge_efficiency: float = 0.94


PLANTS = (
    Plant(
        id="cotswold",
        name="Cotswold",
        vendor="Norhall",
        battery="LFP 280",
        power_kw=50_000.0,
        usable_kwh=100_000.0,
        latency_ms=45.0,
        drops_a_week=0.5,
        drop_minutes=6.0,
        trips_a_month=1,
        trip_hours=3.0,
        repeats=0,
        deratings_a_month=1,
        soh=98.2,
        fade_a_year=1.6,
        cycles=410.0,
        response_mw=15.0,
        region="south-west",
        latitude=51.83,
        longitude=-1.84,
        wear_per_cycle=900.0,
    ),
    Plant(
        id="thames",
        name="Thames",
        vendor="Norhall",
        battery="LFP 280",
        power_kw=40_000.0,
        usable_kwh=80_000.0,
        latency_ms=160.0,
        drops_a_week=5.0,
        drop_minutes=70.0,
        trips_a_month=1,
        trip_hours=4.0,
        repeats=0,
        deratings_a_month=1,
        soh=97.4,
        fade_a_year=1.8,
        cycles=455.0,
        response_mw=12.0,
        region="south-east",
        latitude=51.47,
        longitude=0.38,
        wear_per_cycle=720.0,
    ),
    Plant(
        id="yorkshire",
        name="Yorkshire",
        vendor="Voltera",
        battery="NMC 94",
        power_kw=30_000.0,
        usable_kwh=60_000.0,
        latency_ms=60.0,
        drops_a_week=1.0,
        drop_minutes=10.0,
        trips_a_month=3,
        trip_hours=5.0,
        repeats=2,
        deratings_a_month=3,
        soh=93.1,
        fade_a_year=5.5,
        cycles=690.0,
        response_mw=8.0,
        region="yorkshire",
        latitude=53.72,
        longitude=-1.35,
        wear_per_cycle=660.0,
    ),
)
