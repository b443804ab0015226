"""What is to be reported of the devices of a site, besides their alarms."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from exporter.drivers.venus.battery import MemberValues, is_pending, pending_notices
from exporter.drivers.venus.devices import LASTING_CLASSES, DeviceIds, GoneDevices, HungServices
from exporter.drivers.venus.tree import service_class
from exporter.model.snapshot import Notice


def state_notices(
    ids: DeviceIds,
    information: Mapping[str, Sequence[str]],
    bank: Mapping[str, MemberValues],
    disconnected: Collection[str],
) -> list[Notice]:
    """States that are no fault and yet not work as usual, and lasting devices that say that they
    are not connected, by service. A battery that is pending has a notice of its own."""
    found = [
        Notice("device_state", device, f"{device} {what}")
        for service, states in information.items()
        if states and not (service in bank and is_pending(bank[service]))
        for device in (ids.of(service),)
        for what in states
    ]
    return found + [
        Notice("device_silent", device, f"{device} says that it is not connected")
        for service in sorted(disconnected)
        if service_class(service) in LASTING_CLASSES
        for device in (ids.of(service),)
    ]


def lasting_notices(
    ids: DeviceIds, bank: Mapping[str, MemberValues], gone: GoneDevices, hung: HungServices
) -> list[Notice]:
    """Batteries that are pending, ids that several devices have, and devices that are gone or
    hang."""
    return [
        *(pending_notices({ids.of(s): values for s, values in bank.items()}) if bank else ()),
        *ids.clashes(),
        *gone.notices(),
        *hung.notices(ids),
    ]
