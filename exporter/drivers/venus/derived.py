"""What is made of other values and kept until one of them is another; what many sites share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, Generic, TypeVar, cast

from exporter.drivers.venus.devices import DeviceIds

T = TypeVar("T")
H = TypeVar("H", bound=Hashable)


class Derived(Generic[T]):
    """A value that is made anew only when what it is made of has changed."""

    __slots__ = ("_made_of", "_value")

    def __init__(self, value: T) -> None:
        self._made_of: tuple[Any, ...] = ()
        self._value = value

    def of(self, made_of: tuple[Any, ...], make: Callable[..., T]) -> T:
        """The value that ``make`` gives for what it is made of."""
        if self._made_of != made_of:
            self._value = make(*made_of)
            self._made_of = made_of
        return self._value


def shared(value: H) -> H:
    """An equal value that other sites have too: those of a kind have the same devices."""
    return cast(H, _shared(value))


@functools.lru_cache(maxsize=1024)
def _shared(value: Hashable) -> Hashable:
    return value


def sorted_names(mapped: Mapping[str, str], listed: Iterable[str]) -> tuple[str, ...]:
    """Names of all services, of those that the system maps and those that it lists."""
    return shared(tuple(sorted(mapped.keys() | set(listed))))


def device_set(ids: DeviceIds, _: int, read: Iterable[str]) -> frozenset[str]:
    """Ids of all devices: those with a known service, and those read just now."""
    return shared(frozenset({*ids.known(), *read}))
