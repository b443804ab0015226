"""The target that the settings name."""

from __future__ import annotations

from exporter.config.settings import Settings
from exporter.store.target import Target


def make_target(settings: Settings) -> Target:
    """InfluxDB 1.x or 2.x, as set; libraries are loaded only for the one that is used.

    Raises
    ------
    ValueError
        If no InfluxDB is set.
    """
    url = settings.influxdb_url
    if url is None:
        raise ValueError("FLEETSCOPE_INFLUXDB_URL is not set")
    if settings.influxdb_api == "v1":
        from exporter.store.influx_v1 import InfluxV1

        password = settings.influxdb_password
        return InfluxV1(
            url,
            settings.influxdb_database,
            settings.influxdb_retention,
            settings.influxdb_username,
            password.get_secret_value() if password else None,
            settings.rollup_retention,
        )
    from exporter.store.influx_v2 import InfluxV2

    token = settings.influxdb_token
    return InfluxV2(
        url,
        settings.influxdb_database,
        settings.influxdb_retention,
        settings.influxdb_org,
        token.get_secret_value() if token else "",
        settings.rollup_retention,
    )
