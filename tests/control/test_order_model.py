"""Any sequence of requests, faults, crashes and clock steps, against what must always hold.

The device and its time are played, so that a day takes no time.
"""

from __future__ import annotations

import asyncio
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from exporter.config.fleet import Site
from exporter.control.gate import DispatchMode, WriteGate
from exporter.control.in_force import Surroundings
from exporter.control.journal import Journal, JournalReader
from exporter.control.records import Records
from exporter.control.site_control import SiteControl
from exporter.control.site_inputs import SiteInputs
from exporter.drivers.base import Capability
from exporter.model.orders import (
    AT_DEVICE,
    LIVE,
    Order,
    OrderAction,
    OrderEvent,
    OrderSource,
    OrderState,
    OrderStatus,
)
from exporter.model.snapshot import Outcome, ScrapeError
from scoring.orders.envelope import Bounds, Condition, Readings

NAME = "battery_power_w"
REVERSION_SECONDS = 60.0
BLOCK = {"enabled": True, "max_charge_kw": 5, "max_discharge_kw": 5}
SITE = Site.model_validate(
    {"id": "alpha", "api_endpoint": "http://192.0.2.1", "dispatch": BLOCK, "capacity_kwh": 10}
)


class PlayedDevice:
    """A device that keeps a set-point until it lapses, and answers as the test says."""

    def __init__(self, clock: list[float], reversion: float | None) -> None:
        self.clock = clock
        self.reversion = reversion
        self.answers = True
        self.obeys = True
        self.value = math.nan
        self.at = 0.0
        self.writes = 0

    def capabilities(self) -> Mapping[str, Capability]:
        return {NAME: Capability("W", -1e5, 1e5, True, self.reversion)}

    def held(self) -> float:
        if self.reversion is not None and self.clock[0] - self.at > self.reversion:
            self.value = math.nan
        return self.value

    async def write(self, name: str, value: float) -> None:
        self._answer()
        self.writes += 1
        if self.obeys:
            self.value, self.at = value, self.clock[0]

    async def release(self, name: str, before: float = math.nan) -> None:
        self._answer()
        if self.obeys:
            self.value = math.nan

    async def read_setpoint(self, name: str) -> float:
        self._answer()
        return self.held()

    def _answer(self) -> None:
        if not self.answers:
            raise ScrapeError(Outcome.TIMEOUT, "the device does not answer")


class Orders(RuleBasedStateMachine):
    """One site, its device, and a control that is killed and started again."""

    @initialize(reversion=st.sampled_from([REVERSION_SECONDS, None]))
    def begin(self, reversion: float | None) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "orders.sqlite"
        self.clock = [1000.0]
        self.skew = 1_700_000_000.0
        self.device = PlayedDevice(self.clock, reversion)
        self.online = True
        self.measured_w = 0.0
        self.latest: dict[str, OrderStatus] = {}
        self.loop = asyncio.new_event_loop()
        self.sequence = 0
        self.start()

    def start(self) -> None:
        self.journal = Journal(self.path)
        self.records = Records(self.journal, self.took_effect)
        self.control = SiteControl(
            "alpha",
            Surroundings(
                records=self.records,
                gate=WriteGate(DispatchMode.ON, lambda _: True),
                driver_of=lambda _: self.device,  # type: ignore[arg-type,return-value]
                inputs_of=lambda _: self.inputs(),
                wall=lambda: self.clock[0] + self.skew,
                monotonic=lambda: self.clock[0],
            ),
        )
        self.loop.run_until_complete(self._started())
        for status in self.records.open:
            self.control.take(status)

    async def _started(self) -> None:
        self.records.start()

    def took_effect(self, status: OrderStatus, event: OrderEvent) -> None:
        before = self.latest.get(status.order.id)
        if before is not None:
            assert before.end is None or event.state is OrderState.RELEASED, "an end is final"
        self.latest[status.order.id] = status

    def inputs(self) -> SiteInputs:
        condition = Condition(self.online, 1.0 if self.online else 500.0, 10.0)
        readings = Readings(soc_percent=50, voltage_v=50, temperature_c=20, load_w=500, pv_w=0)
        bounds = Bounds(5000, 5000, temperature_max_c=45)
        return SiteInputs(SITE, 10.0, condition, bounds, readings, self.measured_w, 10.0)

    # -- what may happen ------------------------------------------------------------------------

    @rule(
        action=st.sampled_from([OrderAction.CHARGE, OrderAction.DISCHARGE, OrderAction.HOLD]),
        seconds=st.integers(10, 600),
        delay=st.sampled_from([0, 0, 30]),
        source=st.sampled_from(list(OrderSource)),
    )
    def order(self, action: OrderAction, seconds: int, delay: int, source: OrderSource) -> None:
        power = {OrderAction.CHARGE: 2000.0, OrderAction.DISCHARGE: -2000.0}.get(action, 0.0)
        self._make(action, power, delay, seconds, source)

    @rule()
    def release(self) -> None:
        self._make(OrderAction.RELEASE, 0.0, 0, 86_400, OrderSource.FALLBACK)

    def _make(
        self, action: OrderAction, power: float, delay: int, seconds: int, source: OrderSource
    ) -> None:
        now = self.clock[0] + self.skew
        self.sequence = self.records.take_sequence()
        made = Order(
            f"o-{self.sequence}", "d-1", self.sequence, "alpha", action, power, now + delay,
            now + delay + seconds, None, source, "ops", "operator", "", "a test", False,
        )  # fmt: skip
        rows = [
            OrderEvent(made.id, state, now, "ops")
            for state in (OrderState.DRAFTED, OrderState.ACCEPTED)
        ]
        (status,) = self.loop.run_until_complete(self.records.make([(made, rows)], None))
        self.control.take(status)

    @rule(seconds=st.sampled_from([1, 5, 20, 61, 400]))
    def wait(self, seconds: int) -> None:
        self.clock[0] += seconds
        self.steps()

    @rule()
    def step(self) -> None:
        self.steps()

    @rule(answers=st.booleans())
    def network(self, answers: bool) -> None:
        self.device.answers = self.online = answers

    @rule(obeys=st.booleans())
    def switch(self, obeys: bool) -> None:
        self.device.obeys = obeys

    @rule(power=st.sampled_from([0.0, 2000.0, -2000.0, math.nan]))
    def measure(self, power: float) -> None:
        self.measured_w = power

    @rule(value=st.sampled_from([math.nan, 1234.0]))
    def somebody_else_writes(self, value: float) -> None:
        self.device.value, self.device.at = value, self.clock[0]

    @rule(seconds=st.sampled_from([-7200.0, -30.0, 30.0, 7200.0]))
    def clock_steps(self, seconds: float) -> None:
        self.skew += seconds

    @rule()
    def killed(self) -> None:
        self.loop.run_until_complete(self._end())
        self.start()

    @precondition(lambda self: bool(self.control.statuses))
    @rule()
    def cancel(self) -> None:
        self.control.cancel(self.control.statuses[-1].order.id, "ops", "a test")

    def steps(self) -> None:
        """Let the control do what is due now."""

        async def work() -> None:
            for _ in range(20):
                if self.control.idle or await self.control.step() > 0:
                    return

        self.loop.run_until_complete(work())

    async def _end(self) -> None:
        await self.records.stop(5.0)

    # -- what always holds ----------------------------------------------------------------------

    @invariant()
    def the_journal_knows_who_is_forced(self) -> None:
        if not hasattr(self, "control"):
            return
        at_device = [s for s in self.control.statuses if s.state in AT_DEVICE]
        assert len(at_device) <= 1, "one order at a time"
        for status in self.control.statuses:
            assert status.state in LIVE or status.owes_release

    def teardown(self) -> None:
        if not hasattr(self, "control"):
            return
        # Everything heals, and the longest order is over: nothing is forced and nothing is open.
        self.device.answers = self.device.obeys = self.online = True
        for _ in range(6):
            self.clock[0] += 30_000
            self.steps()
        assert self.control.idle, self.control.statuses
        if self.latest and any(s.was_sent for s in self.latest.values()):
            assert math.isnan(self.device.held()) or self.device.value == 1234.0
        self.loop.run_until_complete(self._end())
        self.loop.close()
        reader = JournalReader(self.path)
        assert reader.broken_at() is None
        for status in reader.orders(limit=1000):
            assert status.end is not None
            assert not status.owes_release
            assert self.latest[status.order.id].state is status.state
        self.folder.cleanup()


@pytest.mark.parametrize("failures", [0, 1, 2])
def test_a_set_point_never_lapses_while_its_order_is_in_force(failures: int) -> None:
    """Though nothing wakes the control but its own timers, and writes fail twice in a row."""
    played = Orders()
    played.begin(reversion=REVERSION_SECONDS)
    played.measured_w = 2000.0
    played.order(action=OrderAction.CHARGE, seconds=600, delay=0, source=OrderSource.MANUAL)
    played.steps()
    end, left = played.clock[0] + 590, failures
    while played.clock[0] < end:
        control = played.control
        due = played.clock[0] - played.device.at > REVERSION_SECONDS / 4
        played.device.answers = not (due and left)
        left -= due and left > 0
        wait = played.loop.run_until_complete(control.step())
        if played.device.answers and played.device.at == played.clock[0]:
            left = failures
        played.clock[0] += max(wait, 0.2)
        assert played.device.held() == 2000.0
        assert control.in_force is not None
    assert played.device.writes >= 590 / REVERSION_SECONDS
    played.teardown()


TestOrders = Orders.TestCase
TestOrders.settings = settings(
    max_examples=40,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
