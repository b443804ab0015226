"""What a device's messages make known of it, message by message."""

from __future__ import annotations

from exporter.drivers.venus.replica import Replica
from tests.drivers.bridge import Clock


def replica() -> tuple[Replica, Clock]:
    clock = Clock()
    made = Replica(clock.monotonic)
    made.connected()
    made.expect_all()
    return made, clock


def test_a_device_that_only_announced_itself_is_not_known() -> None:
    known, clock = replica()
    known.receive(b"system/0/Serial", b'{"value": "c0619ab00001"}', False)
    known.take_all()
    assert not known.is_fresh(clock.monotonic())
    assert known.is_silent(clock.monotonic())


def test_values_are_a_sign_of_life() -> None:
    known, clock = replica()
    known.receive(b"system/0/Serial", b'{"value": "c0619ab00001"}', False)
    known.receive(b"system/0/SystemState/State", b'{"value": 9}', False)
    known.take_all()
    assert known.is_fresh(clock.monotonic())
    assert not known.is_silent(clock.monotonic())


def test_retained_values_are_none() -> None:
    known, clock = replica()
    known.receive(b"system/0/SystemState/State", b'{"value": 9}', True)
    known.take_all()
    assert not known.is_fresh(clock.monotonic())
