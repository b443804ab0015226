"""One InfluxDB of each kind for all tests here, emptied before each, behind the proxy."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from exporter.store import influx_v1, influx_v2, writer
from tests.faults.proxy import Proxy
from tests.faults.store import Store, influxdb1, influxdb2


@pytest.fixture(scope="session")
def _influxdb1(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with influxdb1(tmp_path_factory.mktemp("influxdb1")) as store:
        yield store


@pytest.fixture(scope="session")
def _influxdb2(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with influxdb2(tmp_path_factory.mktemp("influxdb2")) as store:
        yield store


@pytest.fixture
def store(_influxdb1: Store) -> Store:
    """InfluxDB 1.x, with nothing in it."""
    _influxdb1.empty()
    return _influxdb1


@pytest.fixture
def store2(_influxdb2: Store) -> Store:
    """InfluxDB 2.x, with nothing in it."""
    _influxdb2.empty()
    return _influxdb2


@pytest.fixture(params=["v1", "v2"])
def either(request: pytest.FixtureRequest) -> Store:
    """Both in turn, with nothing in them."""
    found: Store = request.getfixturevalue(f"_influxdb{request.param[1]}")
    found.empty()
    return found


@pytest.fixture
def proxy(store: Store) -> Iterator[Proxy]:
    """Before InfluxDB 1.x."""
    with Proxy(store.url).serving() as serving:
        yield serving


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less patience than in service: with the store, and between two batches."""
    monkeypatch.setattr(writer, "FLUSH_SECONDS", 0.1)
    for target in (influx_v1, influx_v2):
        monkeypatch.setattr(target, "WRITE_SECONDS", 2.0)
