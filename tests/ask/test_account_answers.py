"""Questions on energy, plans and the portfolio have the figures that are stored, as the API has.

A roof whose PV lost known amounts yesterday, and two plants with a published month.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from exporter.config.fleet import Fleet
from exporter.drivers import DRIVERS
from exporter.energy.forecasts import KEPT_AT as FORECASTS_KEPT_AT
from exporter.energy.pv_days import KEPT_AT as DAYS_KEPT_AT
from exporter.energy.tariff_file import TariffFile
from exporter.history.influxql import InfluxQL
from exporter.portfolio.measurements import KEPT_AT as PORTFOLIO_KEPT_AT
from tests.serve.api.influx import Influx, influx
from tests.serve.api.served import ServedFleet

pytestmark = pytest.mark.stack

TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
YESTERDAY, TOMORROW = TODAY - timedelta(days=1), TODAY + timedelta(days=1)
LAST_OF_MONTH = TODAY.replace(day=1) - timedelta(days=1)
MONTH = LAST_OF_MONTH.replace(day=1)
AUGMENTATION = datetime(2040, 5, 17, tzinfo=UTC).timestamp()
TARIFFS = TariffFile.model_validate(
    {
        "currency": "EUR",
        "default": "flat",
        "tariffs": {"flat": {"grid": {"price": 0.3}, "feed_in": {"price": 0.08}}},
    }
)


def fleet() -> Fleet:
    common = {"timezone": "UTC", "api_endpoint": "http://192.0.2.1"}
    return Fleet.model_validate(
        {
            "sites": [
                {"id": "roof", "name": "Roof", "driver": "venus-mqtt", "solar_capacity_kw": 10}
                | common
                | {"api_endpoint": "mqtt://192.0.2.1"},
                {"id": "thames", "name": "Thames"} | common,
                {"id": "cotswold", "name": "Cotswold"} | common,
            ]
        },
        context=DRIVERS,
    )


def ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def polls() -> Iterator[str]:
    for site in ("roof", "thames", "cotswold"):
        for minute in range(0, 24 * 60, 5):
            stamp = ms(YESTERDAY + timedelta(minutes=minute))
            read = "online=1,load_power_w=400,grid_power_w=400,pv_power_w=0"
            yield f"site,site={site} {read} {stamp}"


def pv() -> Iterator[str]:
    stamp = ms(YESTERDAY)
    yield (
        "pv_day,site=roof measured_kwh=40,expected_kwh=50,low_kwh=45,high_kwh=55,clipped_kwh=2,"
        "unobserved_kwh=0,own_band=1,by_weather=1,seconds=86400,insolation_kwh_m2=5,"
        f"performance_ratio=0.7,performance_ratio_25c=0.72 {stamp}"
    )
    for cause, kwh in (("curtailed", 6.0), ("shade", 3.0), ("rest", 1.0)):
        yield f'pv_loss,site=roof,cause={cause} kwh={kwh},value={0.08 * kwh},currency="EUR" {stamp}'


def ahead() -> Iterator[str]:
    for slot in range(96):
        watts = 1000.0 if 32 <= slot < 64 else 0.0
        band = f"p10_w={0.5 * watts},p50_w={watts},p90_w={1.2 * watts}"
        stamp = ms(TOMORROW + timedelta(minutes=15 * slot))
        yield f'forecast,site=roof,quantity=pv,lead=next {band},method="clear" {stamp}'
    begin = datetime.fromtimestamp(time.time() // 900 * 900, UTC)
    for slot in range(8):
        action, why = ("charge", "cheap") if slot < 4 else ("hold", "nothing to gain")
        stamp = ms(begin + timedelta(minutes=15 * slot))
        yield f'plan,site=roof action="{action}",reason="{why}",power_w=1000,soc_percent=50 {stamp}'


def books() -> Iterator[str]:
    for site in ("thames", "cotswold"):
        text = f'name="{site}",vendor="V",currency="GBP",zone="UTC",power_kw=1000,usable_kwh=2000'
        yield f"plant,site={site} {text} {ms(MONTH)}"
        for day in range(LAST_OF_MONTH.day):
            # Thames is down for half of the first day, and nobody saw a quarter of the second.
            down = 12.0 if (site, day) == ("thames", 0) else 0.0
            unseen = 6.0 if (site, day) == ("thames", 1) else 0.0
            hours = f"up_hours={24 - down - unseen},down_hours={down},unobserved_hours={unseen}"
            yield f"availability,site={site} {hours} {ms(MONTH + timedelta(days=day))}"
    for site, service, cause, day, amount in (
        ("thames", "energy", "communication", 2, 1200.25),
        ("thames", "response", "communication", 3, 0.25),
        ("thames", "energy", "outage", 0, 300.0),
        ("cotswold", "energy", "communication", 2, 100.0),
    ):
        stamp = ms(MONTH + timedelta(days=day))
        yield f"loss,site={site},service={service},cause={cause} amount={amount} {stamp}"
    for site, service, day, amount, budget in (
        ("thames", "energy", 2, 5000.5, 6000),
        ("thames", "energy", 3, -100.25, 200),
        ("thames", "response", 2, 300.0, 250),
        ("cotswold", "energy", 2, 1000.0, 900),
    ):
        stamp = ms(MONTH + timedelta(days=day))
        shown = f"amount={amount},budget={budget},penalty=0,provisional=0"
        yield f"revenue,site={site},service={service} {shown} {stamp}"
    for site, actual, met, owed in (("thames", 96.125, 0, 500.5), ("cotswold", 99.5, 1, 0)):
        shown = f"target_percent=97,actual_percent={actual},coverage_percent=99,met={met}"
        yield f"sla,site={site},term=availability {shown},owed={owed} {ms(MONTH)}"
        fade = 2.5 if site == "thames" else 1.5
        life = f"soh_percent=95,fade_percent_a_year={fade},end_of_life_soh_percent=70"
        life += f",augmentation={AUGMENTATION}" if site == "thames" else ""
        yield f"lifecycle,site={site} {life} {ms(MONTH)}"
    for is_open, amount in ((1, -75.5), (0, -20.0)):
        stamp = ms(MONTH + timedelta(hours=is_open))
        yield (
            f"dispute,site=thames,service=energy,run=II,cause=volume amount={amount},"
            f"open={is_open} {stamp}"
        )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Influx]:
    with influx(tmp_path_factory.mktemp("influx")) as made:
        for policy in {DAYS_KEPT_AT, FORECASTS_KEPT_AT, PORTFOLIO_KEPT_AT}:
            made.query(f'CREATE RETENTION POLICY "{policy}" ON "fleet" DURATION inf REPLICATION 1')
        made.write(list(polls()))
        made.write(list(pv()), DAYS_KEPT_AT)
        made.write(list(ahead()), FORECASTS_KEPT_AT)
        made.write(list(books()), PORTFOLIO_KEPT_AT)
        yield made


class Asked(ServedFleet):
    """The fleet that stands at the present time, asked in words."""

    @property
    def wall(self) -> float:
        return time.time()

    def headline(self, question: str) -> str:
        return str(self.answer(question)["headline"])

    def answer(self, question: str) -> Any:
        return self.json(f"/api/v1/ask?{urlencode({'q': question, 'tz': 'UTC'})}")

    def refusal(self, question: str) -> str:
        _, _, body = self.ask(f"/api/v1/ask?{urlencode({'q': question, 'tz': 'UTC'})}")
        return body.decode()


@pytest.fixture(scope="module")
def asked(server: Influx) -> Iterator[Asked]:
    made = Asked(fleet(), InfluxQL(server.url, "fleet", {}), tariffs=TARIFFS)
    made.scrape()
    with made.serving():
        yield made


def test_what_pv_lost_is_what_the_account_says(asked: Asked) -> None:
    text = asked.headline("how much PV energy did Roof lose to curtailment yesterday")
    assert text.startswith("Roof lost 6.0 kWh to curtailment, worth 0.48 EUR, yesterday")
    whole = asked.answer("how much PV energy was lost at Roof yesterday?")
    assert "lost 10.0 kWh" in whole["headline"]
    assert "most to curtailment, 6.0 kWh" in whole["headline"]
    of_api = asked.json("/api/v1/energy?site=roof&period=yesterday")["pv"]
    shown = {row["cause"]: (row["kwh"], row["value"]) for row in whole["tables"][0]["rows"]}
    assert shown == {loss["cause"]: (loss["kwh"], loss["value"]) for loss in of_api["losses"]}
    assert "took 2.0 kWh" in asked.headline("what did Roof lose to clipping yesterday")
    made = asked.headline("how much did Roof make yesterday against what was expected?")
    assert (
        "made 40.0 kWh of PV energy where 50.0 kWh were expected, yesterday: 10.0 kWh less" in made
    )


def test_a_day_that_is_not_judged_has_no_loss(asked: Asked) -> None:
    assert "no day of PV" in asked.refusal("PV energy lost at Roof today")
    assert "1 of 2 days of sites are judged" in asked.headline(
        "PV energy lost at Roof since yesterday"
    )
    assert "lost what?" in asked.refusal("what did Roof lose yesterday")


def test_energy_has_its_cost_by_the_tariff(asked: Asked) -> None:
    found = asked.headline("what did the grid power of Roof cost yesterday")
    money = asked.json("/api/v1/energy?site=roof&period=yesterday")["cost"]
    assert f"{money['net']:.2f} EUR" in found
    assert "which period" in asked.refusal("energy cost of Roof")


def test_tomorrow_is_the_forecast_and_today_is_none(asked: Asked) -> None:
    text = asked.headline("how much solar will Roof make tomorrow?")
    assert text.startswith("PV energy of Roof, tomorrow: about 8.0 kWh are forecast")
    assert "likely 4.0 to 9.6 kWh" in text
    assert "forecast is of what is to come" in asked.refusal("PV forecast for Roof yesterday")
    assert "no forecast" in asked.refusal("PV forecast for Thames tomorrow")


def test_the_plan_of_a_battery(asked: Asked) -> None:
    text = asked.headline("what is the plan of Roof?")
    assert text.startswith("The plan of Roof is proposed: charge from ")
    assert "(cheap); hold from" in text
    assert "one site at a time" in asked.refusal("what is the plan?")


def test_what_a_plant_lost_to_a_cause(asked: Asked) -> None:
    found = asked.answer("what did Thames lose to communications last month?")
    assert "Thames lost 1 200.50 GBP to communications, last month" in found["headline"]
    assert found["coverage"]["observed_ratio"] == pytest.approx(1 - 6 / (24 * LAST_OF_MONTH.day))
    query = urlencode({"site": "thames", "cause": "communication", "period": "last month"})
    (sums,) = asked.json(f"/api/v1/portfolio/losses?{query}")["sums"]
    assert sums["amount"] == sum(row["amount"] for row in found["tables"][0]["rows"])
    both = asked.headline("how much revenue did we lose to communications last month?")
    assert "2 plants lost 1 300.50 GBP to communications" in both
    assert "most Thames with 1 200.50 GBP" in both
    assert "0.00 GBP to derating" in asked.headline("what did Thames lose to derating last month?")
    assert "is published" in asked.refusal("what did Thames lose to derating this month?")


def test_guarantees_availability_disputes_and_fading(asked: Asked) -> None:
    text = asked.headline("did we keep the availability guarantee last month?")
    assert "1 of 2 guarantees of 2 plants were met" in text
    assert "availability of Thames: 96.12 % of 97.00 %; 500.50 GBP are owed" in text
    hours = 24 * LAST_OF_MONTH.day - 6
    share = 100 * (hours - 12) / hours
    text = asked.headline("plant availability of Thames last month")
    assert f"{share:.2f} % of the observed time" in text
    text = asked.headline("any open disputes?")
    assert text.startswith("1 differences of statements of 2 plants are open, up to now")
    assert "-75.50 GBP" in text
    assert asked.headline("which plant fades fastest?").startswith("Thames loses 2.50 % of health")
    assert "Roof" not in asked.headline("which plant fades fastest?")


def test_revenue_by_service_is_that_of_the_api(asked: Asked) -> None:
    query = urlencode({"site": "thames", "period": "last month"})
    sums = asked.json(f"/api/v1/portfolio/revenue?{query}&by=service")["sums"]
    amounts = {row["service"]: row["amount"] for row in sums}
    assert amounts == {"energy": 4900.25, "response": 300.0}
    for question in (
        "revenue by service of Thames last month",
        "Erlöse je Dienst von Thames letzten Monat",
        "was hat Thames letzten Monat verdient?",
    ):
        found = asked.answer(question)
        rows = found["tables"][0]["rows"]
        assert {row["service"]: row["amount"] for row in rows} == amounts, question
        assert "5 200.25 GBP, against a budget of 6 450.00 GBP" in found["headline"]
        assert "by service: energy 4 900.25 GBP, response 300.00 GBP." in found["headline"]
    assert "first Thames with 5 200.25 GBP" in asked.headline("what did we earn last month?")


@pytest.mark.parametrize(
    "question",
    [
        "what SLA credit is Thames owed for last month?",
        "what is owed for the SLA of Thames last month?",
        "SLA-Gutschrift von Thames letzten Monat",
        "wurde die Verfügbarkeitsgarantie von Thames letzten Monat eingehalten?",
    ],
)
def test_what_is_owed_for_a_guarantee_is_that_of_the_api(asked: Asked, question: str) -> None:
    query = urlencode({"site": "thames", "period": "last month"})
    (row,) = asked.json(f"/api/v1/portfolio/sla?{query}")["rows"]
    found = asked.answer(question)
    assert found["tables"][0]["rows"][0]["owed"] == row["owed"] == 500.5
    assert "500.50 GBP are owed" in found["headline"]


def test_the_portfolio_in_german(asked: Asked) -> None:
    text = asked.headline("was hat Thames letzten Monat durch Kommunikation verloren?")
    assert "Thames lost 1 200.50 GBP to communications" in text
    assert asked.headline("offene Streitfälle").startswith("1 differences of statements")
    fading = asked.headline("welche Anlage altert am schnellsten?")
    assert fading.startswith("Thames loses 2.50 % of health")
    ageing = asked.json("/api/v1/portfolio/battery-health")["rows"]
    assert {row["site"]: row["augmentation"] for row in ageing} == {
        "cotswold": None,
        "thames": AUGMENTATION,
    }
    for question in ("wann braucht Thames neue Batterien?", "when does Thames need augmentation?"):
        assert "augmentation in 2040-05" in asked.headline(question)
    # The site itself, not a figure of it.
    assert "GBP" not in asked.headline("was hat Thames?")


@pytest.mark.parametrize(
    "question",
    ["what is owed to partners for last month?", "what did arbitrage earn at Thames last month?"],
)
def test_what_cannot_be_asked_of_the_portfolio_is_refused(asked: Asked, question: str) -> None:
    assert "not known" in asked.refusal(question)


def test_the_protocol_of_a_site(asked: Asked) -> None:
    assert asked.headline("over which protocol is Roof read?").startswith("Roof is read over MQTT")
    assert asked.answer("which sites are read over MQTT?")["sites"] == ["roof"]
    assert asked.answer("which sites are read over http")["sites"] == ["cotswold", "thames"]
    assert "protocol:Modbus" in asked.refusal("which sites are read over Modbus?")
