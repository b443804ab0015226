"""Telemetry is taken as a whole or refused with the place of each mistake."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.intake.telemetry import LARGEST_BODY, TelemetryError, parse

TIME = "2026-03-01T08:00:00Z"
UNIX = 1772352000.0


def body(document: Any) -> bytes:
    return json.dumps(document).encode()


def point(**more: Any) -> dict[str, Any]:
    return {"site": "a", "measured": TIME, "readings": {"grid_power_w": 5}} | more


def test_one_point() -> None:
    battery = {
        "device": "battery/1",
        "readings": {"soc_percent": 61.5, "temperature_c": None},
        "cells": {"voltages_v": [3.3, 9.0, None]},
    }
    batch = parse(body(point(batteries=[battery], alarms={"battery/1": {"HighTemperature": 2}})))
    (found,) = batch.points
    assert (found.site, found.measured, dict(found.readings)) == ("a", UNIX, {"grid_power_w": 5.0})
    (pack,) = found.batteries
    assert pack.readings["soc_percent"] == 61.5
    assert math.isnan(pack.readings["temperature_c"])
    assert pack.cells is not None
    assert pack.cells.voltages_v[0] == 3.3
    assert math.isnan(pack.cells.voltages_v[1])
    assert [(i.quantity, i.value) for i in found.implausible] == [("cell 2 voltage_v", 9.0)]
    assert found.alarms == {"battery/1": {"HighTemperature": 2}}
    assert math.isnan(batch.sent)


def test_a_list_and_an_envelope() -> None:
    assert len(parse(body([point(), point(measured=UNIX + 10)])).points) == 2
    batch = parse(body({"sent": "2026-03-01T09:00:00+01:00", "points": [point()]}))
    assert batch.sent == UNIX


def test_what_a_data_centre_sends_is_taken_as_it_is() -> None:
    flat = {
        "dc_id": "DC01",
        "timestamp": TIME,
        "cpu_usage": 45.2,
        "soc": 78.5,
        "power_kw": 105.3,
        "freq": 49.98,
        "network_mb_sent": 1.2,
        "network_mb_recv": 0.8,
        "load_factor": 0.75,
    }
    (found,) = parse(body(flat)).points
    assert found.site == "DC01"
    assert dict(found.readings) == {
        "cpu_percent": 45.2,
        "load_power_w": 105300.0,
        "grid_frequency_hz": 49.98,
        "network_sent_mb": 1.2,
        "network_received_mb": 0.8,
        "load_factor_ratio": 0.75,
    }
    assert found.batteries[0].readings == {"soc_percent": 78.5}


def test_an_implausible_value_is_kept_out_and_counted() -> None:
    (found,) = parse(body(point(readings={"grid_frequency_hz": 500, "grid_power_w": 1}))).points
    assert math.isnan(found.readings["grid_frequency_hz"])
    assert [(i.device, i.quantity, i.value) for i in found.implausible] == [
        ("site", "grid_frequency_hz", 500.0)
    ]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"[" * 60000, "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[]", "expected 1 to 1000 points"),
        (b"5", "expected"),
        (b'{"site":"a","measured":NaN}', "NaN"),
        (b'{"site":"a","site":"b"}', "names a key twice"),
        (b" " * (LARGEST_BODY + 1), "64 KiB"),
        (body(point(measured="2026-03-01T08:00:00")), "measured: has no time zone"),
        (body(point(measured="yesterday")), "measured: expected a time"),
        (body(point(measured=1772352000000)), "measured: expected Unix seconds"),
        (body(point(measured=True)), "measured: expected a time"),
        (body(point(readings={"grid_power_w": "5"})), "readings.grid_power_w: expected a number"),
        (body(point(readings={"grid_power_w": True})), "readings.grid_power_w: expected a number"),
        (body(point(readings={"grid_powr_w": 5})), "readings.grid_powr_w: no such quantity"),
        (body(point(readings={"soc_percent": 5})), "no such quantity"),
        (body(point(colour="red")), "colour: unknown key"),
        (body(point(site="../a")), "site: "),
        (body({"measured": TIME}), "site: is missing"),
        (body([point(), point(measured="x")]), "points[1].measured: "),
        (body({"dc_id": "DC01", "timestamp": TIME, "cpu": 1}), "cpu: unknown key"),
        (body(point(batteries=[{"device": "a\nb", "readings": {}}])), "device: "),
        (body(point(alarms={"a": {"b": 3}})), "alarms.a.b: "),
    ],
)
def test_mistakes_are_named_with_their_place(raw: bytes, words: str) -> None:
    with pytest.raises(TelemetryError) as caught:
        parse(raw)
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_topic_names_the_site() -> None:
    assert parse(body({"measured": TIME}), "a").points[0].site == "a"
    with pytest.raises(TelemetryError, match="is not the site that sends it"):
        parse(body(point(site="b")), "a")


@given(
    st.one_of(
        st.binary(max_size=300),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9),
            lambda inner: (
                st.lists(inner, max_size=4)
                | st.dictionaries(
                    st.sampled_from(["site", "measured", "readings", "points", "sent", "dc_id"])
                    | st.text(max_size=9),
                    inner,
                    max_size=5,
                )
            ),
            max_leaves=15,
        ).map(lambda document: json.dumps(document).encode()),
    )
)
def test_nothing_but_a_refusal_comes_of_anything(raw: bytes) -> None:
    try:
        batch = parse(raw)
    except TelemetryError:
        return
    assert batch.points
