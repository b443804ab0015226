"""AC inputs in the field: grid, generator, shore power, phases, judged by the whole chain."""

from __future__ import annotations

import pytest

from tests.drivers.bridge import GRID, PREFIX, SYSTEM, VEBUS
from tests.drivers.venus.judged import MAPPING, Trees, codes, judged, plain_site, sentence

MULTI = PREFIX + "multi.socketcan_can0_vi0"


def input_of(trees: Trees, *, volts: float, hertz: float, source: int, active: int = 0) -> None:
    connected = int(volts > 0)
    trees[VEBUS] |= {
        "Ac/ActiveIn/L1/V": volts,
        "Ac/ActiveIn/L1/F": hertz,
        "Ac/ActiveIn/Connected": connected,
        "Ac/ActiveIn/ActiveInput": active if connected else 240,
    }
    trees[SYSTEM]["Ac/ActiveIn/Source"] = source if connected else 240


@pytest.mark.parametrize("kind", [2, 3], ids=["generator", "shore"])
@pytest.mark.parametrize("says", ["system", "device"])
async def test_a_site_without_a_grid_has_none_to_lose(kind: int, says: str) -> None:
    trees = plain_site()
    if says == "system":
        trees[SYSTEM]["Ac/In/0/Source"] = kind
    else:
        trees[VEBUS]["Ac/In/1/Type"] = kind
    input_of(trees, volts=0.0, hertz=0.0, source=240)
    # The unit knows nothing of kinds.
    trees[VEBUS]["Alarms/GridLost"] = 2
    async with judged(trees) as site:
        off = await site.scrape(3)
        input_of(trees, volts=228.0, hertz=51.8, source=kind)
        on = await site.scrape(3)
        input_of(trees, volts=0.0, hertz=0.0, source=240)
        off_again = await site.scrape(3)
    assert codes(off) == codes(on) == codes(off_again) == {}
    assert on.components["grid"] is None
    assert "grid_frequency_hz" not in on.missing
    assert on.readings["ac_input_frequency_hz"] == 51.8


async def test_a_generator_far_off_is_reported_in_its_own_band() -> None:
    trees = plain_site()
    trees[SYSTEM]["Ac/In/0/Source"] = 2
    input_of(trees, volts=231.0, hertz=44.0, source=2)
    async with judged(trees) as site:
        assert codes(await site.scrape(3)) == {"ac_input_frequency": "warning"}


@pytest.mark.parametrize("grid_input", [0, 1])
async def test_a_grid_stays_lost_while_a_generator_runs(grid_input: int) -> None:
    trees = plain_site()
    trees[SYSTEM][f"Ac/In/{grid_input}/Source"] = 1
    trees[SYSTEM][f"Ac/In/{1 - grid_input}/Source"] = 2
    input_of(trees, volts=230.0, hertz=50.02, source=1, active=grid_input)
    async with judged(trees) as site:
        assert codes(await site.scrape(3)) == {}
        input_of(trees, volts=0.0, hertz=0.0, source=240)
        assert codes(await site.scrape(2)) == {"grid_lost": "critical"}
        input_of(trees, volts=232.0, hertz=51.4, source=2, active=1 - grid_input)
        running = await site.scrape(2)
        input_of(trees, volts=230.0, hertz=50.0, source=1, active=grid_input)
        back = await site.scrape(2)
    assert codes(running) == {"grid_lost": "critical", "on_generator": "info"}
    assert "runs on a generator" in sentence(running, "grid_lost")
    assert codes(back) == {}


async def test_a_grid_that_waits_beside_a_generator_is_not_lost() -> None:
    trees = plain_site()
    trees[SYSTEM] |= {"Ac/In/0/Source": 1, "Ac/In/1/Source": 2}
    trees[VEBUS] |= {"Ac/State/AcIn1Available": 1, "Ac/State/AcIn2Available": 1}
    input_of(trees, volts=230.0, hertz=51.0, source=2, active=1)
    async with judged(trees) as site:
        assert codes(await site.scrape(3)) == {}
        trees[VEBUS]["Ac/State/AcIn1Available"] = 0
        assert "grid_lost" in codes(await site.scrape(2))


async def test_without_any_word_on_the_input_a_grid_that_was_seen_can_be_lost() -> None:
    trees = plain_site()
    del trees[SYSTEM]["Ac/ActiveIn/Source"]
    dead = {"Ac/ActiveIn/L1/V": 0.0, "Ac/ActiveIn/L1/F": 0.0, "Ac/ActiveIn/ActiveInput": 240}
    live = {p: trees[VEBUS][p] for p in dead}
    trees[VEBUS] |= dead
    async with judged(trees) as site:
        never = await site.scrape(2)
        trees[VEBUS] |= live
        await site.scrape(2)
        trees[VEBUS] |= dead
        lost = await site.scrape(2)
    assert codes(never) == {}
    assert "grid_connected" in never.missing
    assert codes(lost) == {"grid_lost": "critical"}


@pytest.mark.parametrize(("setting", "expected"), [(1, {"grid_lost": "critical"}), (2, {})])
async def test_old_firmware_has_the_kind_of_input_in_its_settings(
    setting: int, expected: dict[str, str]
) -> None:
    trees = plain_site()
    del trees[SYSTEM]["Ac/ActiveIn/Source"]
    input_of(trees, volts=0.0, hertz=0.0, source=240)
    async with judged(trees) as site:
        site.bridge.leaves = {"/Settings/SystemSetup/AcInput1": setting}
        found = await site.scrape(3)
        asked = [r.target for r in site.bridge.requests if "AcInput1" in r.target]
    assert codes(found) == expected
    assert len(asked) == 1


@pytest.mark.parametrize("off", [{"Mode": 4}, {"State": 0}], ids=["mode", "state"])
async def test_an_inverter_that_is_off_is_no_grid_loss(off: dict[str, int]) -> None:
    trees = plain_site()
    trees[SYSTEM]["Ac/In/0/Source"] = 1
    async with judged(trees) as site:
        await site.scrape(2)
        input_of(trees, volts=0.0, hertz=0.0, source=240)
        trees[VEBUS] |= off
        found = await site.scrape(2)
    assert codes(found) == {"device_state": "info"}
    assert "vebus/257 is" in sentence(found, "device_state")
    assert "grid_connected" in found.missing


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, {"grid_rejected": "warning"}),
        ({"Mode": 2}, {}),
        ({"Ac/State/IgnoreAcIn1": 1}, {}),
    ],
    ids=["on its own", "inverter only", "told to"],
)
async def test_a_live_grid_that_the_inverter_rejects_is_reported(
    told: dict[str, int], expected: dict[str, str]
) -> None:
    trees = plain_site()
    trees[SYSTEM] |= {"Ac/In/0/Source": 1, "Ac/ActiveIn/Source": 240}
    trees[VEBUS] |= {"Ac/ActiveIn/Connected": 0, "Ac/ActiveIn/ActiveInput": 240, **told}
    async with judged(trees) as site:
        assert codes(await site.scrape(3)) == expected


@pytest.mark.parametrize("dead", ["L1", "L2", "L3"])
@pytest.mark.parametrize("device", ["vebus", "multi", "meter"])
async def test_a_lost_phase_is_named(device: str, dead: str) -> None:
    trees = plain_site()
    volts = {"L1": 231.0, "L2": 229.5, "L3": 232.0}
    if device == "meter":
        trees[GRID] = {"DeviceInstance": 30, "Ac/Energy/Forward": 1.0, "Ac/Energy/Reverse": 2.0}
        trees[SYSTEM][f"{MAPPING}grid_30"] = GRID
    elif device == "multi":
        trees[MULTI] = {"DeviceInstance": 0, "Ac/ActiveIn/ActiveInput": 0, "Mode": 3, "State": 3}
        del trees[VEBUS]
        trees[SYSTEM]["VebusService"] = []
        del trees[SYSTEM][f"{MAPPING}vebus_257"]
        trees[SYSTEM][f"{MAPPING}multi_0"] = MULTI
    else:
        trees[VEBUS]["Ac/NumberOfPhases"] = 3

    def write(phase: str, value: float) -> None:
        if device == "meter":
            trees[GRID][f"Ac/{phase}/Voltage"] = value
        elif device == "multi":
            trees[MULTI] |= {f"Ac/In/1/{phase}/V": value, f"Ac/In/1/{phase}/F": 50.0}
        else:
            trees[VEBUS] |= {
                f"Ac/ActiveIn/{phase}/V": value,
                f"Ac/ActiveIn/{phase}/F": 50.0 if value else 0.0,
            }

    for phase, value in volts.items():
        write(phase, value)
    async with judged(trees) as site:
        assert codes(await site.scrape(6)) == {}
        write(dead, 0.0)
        steady: list[dict[str, str]] = []
        lost = await site.scrape(8, lambda now: steady.append(codes(now)))
        write(dead, 230.0)
        back = await site.scrape(6)
    assert codes(lost) == {"grid_phase_lost": "warning"}
    assert sentence(lost, "grid_phase_lost") == f"The grid has lost phase {dead}"
    assert steady[3:] == [codes(lost)] * 5
    assert codes(back) == {}


async def test_unused_phases_of_a_meter_are_not_lost() -> None:
    trees = plain_site()
    trees[GRID] = {"DeviceInstance": 30, "Ac/L1/Voltage": 230.0, "Ac/L2/Voltage": 0.0}
    trees[GRID]["Ac/L3/Voltage"] = 0.0
    trees[SYSTEM][f"{MAPPING}grid_30"] = GRID
    async with judged(trees) as site:
        assert codes(await site.scrape(8)) == {}


async def test_an_american_site_without_settings_is_judged_by_what_is_seen() -> None:
    trees = plain_site()
    trees[VEBUS] |= {"Ac/ActiveIn/L1/V": 119.0, "Ac/ActiveIn/L1/F": 60.309}
    async with judged(trees) as site:
        found = await site.scrape(3)
    async with judged(trees, grid_nominal_hz=60) as told:
        assert codes(await told.scrape(3)) == {}
    assert codes(found) == {"nominal_not_set": "info"}
    assert "120 V, 60 Hz" in sentence(found, "nominal_not_set")
    assert "grid_nominal_hz" in found.issues[0].action


@pytest.mark.parametrize("low", [49.847, 50.103])
async def test_steps_of_the_vebus_frequency_are_no_deviation(low: float) -> None:
    trees = plain_site()
    async with judged(trees) as site:
        for turn in range(40):
            trees[VEBUS]["Ac/ActiveIn/L1/F"] = low + 0.256 * (turn % 2 and low < 50)
            found = await site.scrape(1)
        assert codes(found) == {}
        assert found.components["grid"] == 100
