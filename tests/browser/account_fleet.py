"""Two roofs in two time zones and two plants: what InfluxDB holds of their energy and money."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from exporter.config.fleet import Fleet
from exporter.energy.forecasts import KEPT_AT as FORECASTS_KEPT_AT
from exporter.energy.pv_days import KEPT_AT as DAYS_KEPT_AT
from exporter.energy.tariff_file import TariffFile
from exporter.portfolio.measurements import KEPT_AT as PORTFOLIO_KEPT_AT
from tests.serve.api.influx import Influx

ZONES = {"roof": ZoneInfo("America/New_York"), "barn": ZoneInfo("Australia/Sydney")}
PLANTS = ("thames", "cotswold")
NOW = time.time()
LAST_OF_MONTH = datetime.fromtimestamp(NOW, UTC).replace(
    day=1, hour=0, minute=0, second=0, microsecond=0
) - timedelta(days=1)
MONTH = LAST_OF_MONTH.replace(day=1)
DAY = f"{datetime.fromtimestamp(NOW, ZONES['roof']) - timedelta(days=1):%Y-%m-%d}"
"""The last whole day of both roofs, as a date: what is asked of it does not change at midnight."""
TARIFFS = TariffFile.model_validate(
    {
        "currency": "EUR",
        "default": "flat",
        "tariffs": {
            "flat": {
                "grid": {"price": 0.3217},
                "feed_in": {"price": 0.0811},
                "standing_per_day": 0.4321,
            }
        },
        "co2": {"grams_per_kwh": 367.5, "assumption": "the mean of the grid"},
    }
)


def fleet() -> Fleet:
    roofs = [
        {"id": site, "timezone": str(zone), "solar_capacity_kw": 10, "capacity_kwh": 10}
        for site, zone in ZONES.items()
    ]
    plants = [{"id": site, "timezone": "UTC"} for site in PLANTS]
    common = {"api_endpoint": "http://192.0.2.1"}
    return Fleet.model_validate(
        {"sites": [one | common | {"name": one["id"].title()} for one in (*roofs, *plants)]}
    )


def ms(moment: datetime | float) -> int:
    return int((moment if isinstance(moment, float) else moment.timestamp()) * 1000)


def polls() -> Iterator[str]:
    """Three days up to now, once in five minutes: sun by day, the battery after it."""
    first = NOW // 300 * 300 - 3 * 86_400
    for n in range(3 * 288 + 1):
        stamp, hour = first + 300 * n, (first / 3600 + n / 12) % 24
        for site, size in (("roof", 1.0), ("barn", 1.7)):
            pv = size * 3456.7 if 8 <= hour < 16 else 0.0
            battery = size * (700.0 if 8 <= hour < 16 else -350.0 if hour < 20 else 0.0)
            load = size * 813.3
            read = f"pv_power_w={pv},load_power_w={load},grid_power_w={load + battery - pv}"
            yield f"site,site={site} online=1,{read} {ms(stamp)}"
            soc = 40 + 4 * hour / 3
            battery_of = f"battery,site={site},device=battery/512"
            yield f"{battery_of} power_w={battery},soc_percent={soc} {ms(stamp)}"
        for site in PLANTS:
            yield f"site,site={site} online=1,load_power_w=0,grid_power_w=0 {ms(stamp)}"


def pv_days() -> Iterator[str]:
    """Five days of each roof, stamped with its own midnight; one loss of a barn has no price."""
    for site, zone in ZONES.items():
        today = datetime.fromtimestamp(NOW, zone).replace(hour=0, minute=0, second=0, microsecond=0)
        for back in range(1, 6):
            day = (today - timedelta(days=back)).replace(tzinfo=zone)
            made = 40.04 + back if site == "roof" else 50.05 + 3 * back
            yield (
                f"pv_day,site={site} measured_kwh={made - 9.95},expected_kwh={made},"
                f"low_kwh={made - 5},high_kwh={made + 5},clipped_kwh={0.15 * back},"
                "unobserved_kwh=0,own_band=1,by_weather=1,seconds=86400,insolation_kwh_m2=5,"
                f"performance_ratio=0.705,performance_ratio_25c=0.722 {ms(day)}"
            )
            for cause, kwh in (("curtailed", 6.25), ("shade", 2.65), ("rest", 1.05)):
                worth = f',value={0.0811 * kwh},currency="EUR"'
                if (site, back, cause) == ("barn", 3, "shade"):
                    worth = ""
                yield f"pv_loss,site={site},cause={cause} kwh={kwh}{worth} {ms(day)}"


def ahead() -> Iterator[str]:
    begin = NOW // 900 * 900
    for slot in range(144):
        stamp = ms(begin + 900.0 * slot)
        yield (
            "forecast,site=roof,quantity=pv,lead=next p10_w=500.5,p50_w=1000.7,p90_w=1234.1,"
            f'method="clear" {stamp}'
        )
        action, why = ("charge", "cheap") if slot < 4 else ("hold", "nothing to gain")
        yield (
            f'plan,site=roof action="{action}",reason="{why}",power_w=1049.6,soc_percent=50.5,'
            f"battery_w=1049.6,import_w=1900.0,export_w=0.0,buy=0.3217,sell=0.0811 {stamp}"
        )
    yield (
        'plan_summary,site=roof strategy="cost",note="",currency="EUR",saving=1.2345,cost=3.456,'
        f"plain_cost=4.69,wear=0.2,plain_wear=0.1,stored=0.0,plain_stored=0.0 {ms(begin)}"
    )


def books() -> Iterator[str]:
    for n, site in enumerate(PLANTS):
        text = f'name="{site}",vendor="V",currency="GBP",zone="UTC",power_kw=1000,usable_kwh=2000'
        yield f"plant,site={site} {text} {ms(MONTH)}"
        for day in range(LAST_OF_MONTH.day):
            stamp = ms(MONTH + timedelta(days=day))
            down = 7.25 if (n, day) == (0, 3) else 0.0
            yield (
                f"availability,site={site} up_hours={24 - down},down_hours={down},"
                f"unobserved_hours=0 {stamp}"
            )
            for service, amount in (("energy", 812.345), ("response", 95.005)):
                yield (
                    f"revenue,site={site},service={service} amount={amount + n},"
                    f"stated={amount + n},own={amount},penalty=0.5,budget=900.1,"
                    f"provisional={int(day == 5)} {stamp}"
                )
            yield (
                f"plant_day,site={site} charged_kwh=2100.5,discharged_kwh=1890.25,"
                f"cycles={1.035 + n / 10},cycle_budget=1.4 {stamp}"
            )
            yield f"loss,site={site},service=energy,cause=communication amount={3.335 + n} {stamp}"
        yield (
            f"sla,site={site},term=availability target_percent=99,actual_percent={98.765 + n},"
            f"coverage_percent=99.5,met={n},owed={512.345 * (1 - n)} {ms(MONTH)}"
        )
        year = ms(datetime(2031 + n, 6, 1, tzinfo=UTC)) // 1000
        yield (
            f"lifecycle,site={site} soh_percent={94.15 - n},fade_percent_a_year={2.345 + n},"
            f"end_of_life_soh_percent=70,augmentation={year},years_left={5.5 + n} {ms(MONTH)}"
        )
    yield (
        f"dispute,site=thames,service=energy,run=II,cause=volume amount=-75.505,open=1 {ms(MONTH)}"
    )


def store(made: Influx) -> None:
    """Write all of it."""
    for policy in sorted({DAYS_KEPT_AT, FORECASTS_KEPT_AT, PORTFOLIO_KEPT_AT}):
        made.query(f'CREATE RETENTION POLICY "{policy}" ON "fleet" DURATION inf REPLICATION 1')
    made.write(list(polls()))
    made.write(list(pv_days()), DAYS_KEPT_AT)
    made.write(list(ahead()), FORECASTS_KEPT_AT)
    made.write(list(books()), PORTFOLIO_KEPT_AT)
