"""How long InfluxDB keeps full detail: what is older would be dropped as it is written."""

from __future__ import annotations

import asyncio
import math
from typing import Any

from exporter.config.settings import Settings
from exporter.model.levels import RAW
from exporter.store.connection import connection_of
from exporter.store.influx import InfluxClient, NoAnswerError, retention_seconds

_DAY = 86_400
# What InfluxDB itself chooses for more than half a year; a file a day would be many files.
_SHARD_DAYS = 7


class RetentionError(Exception):
    """The retention cannot be read, or does not suffice; the text says what to do."""


class Retention:
    """The retention of the full detail in the InfluxDB of the settings."""

    def __init__(self, settings: Settings) -> None:
        connection = connection_of(settings)
        assert connection is not None  # the command asks for it
        self._client = InfluxClient(connection)
        self._url = connection.url
        self._database = connection.database
        self._v1 = connection.api == "v1"
        self._org = connection.organisation

    @property
    def name(self) -> str:
        """As InfluxDB calls it."""
        return f"{self._database}{'.' if self._v1 else '/'}raw"

    async def seconds(self) -> float:
        """How long full detail is kept; infinite without a limit.

        Raises
        ------
        RetentionError
        """
        if self._v1:
            try:
                kept = await asyncio.to_thread(retention_seconds, self._client)
            except NoAnswerError as error:
                raise RetentionError(str(error)) from error
            if RAW in kept:
                seconds = kept[RAW]
                return math.inf if seconds is None else float(seconds)
        else:
            bucket = await self._bucket()
            rules = bucket.get("retentionRules") or [{}]
            return float(rules[0].get("everySeconds", 0)) or math.inf
        raise RetentionError(f"there is no {self.name} at {self._url}")

    async def extend(self, seconds: float) -> None:
        """Keep full detail for that long; data that is there stays.

        Raises
        ------
        RetentionError
        """
        days = max(math.ceil(seconds / _DAY), 2 * _SHARD_DAYS)
        if self._v1:
            await self._ask(
                "POST",
                "/query",
                q=f'ALTER RETENTION POLICY "raw" ON "{self._database}" DURATION {days}d '
                f"SHARD DURATION {_SHARD_DAYS}d",
            )
            return
        bucket = await self._bucket()
        rule = {
            "type": "expire",
            "everySeconds": days * _DAY,
            "shardGroupDurationSeconds": _SHARD_DAYS * _DAY,
        }
        await self._ask("PATCH", f"/api/v2/buckets/{bucket['id']}", {"retentionRules": [rule]})

    async def _bucket(self) -> dict[str, Any]:
        answer = await self._ask("GET", "/api/v2/buckets", name=self.name, org=self._org)
        buckets = answer.get("buckets") or []
        if not buckets:
            raise RetentionError(f"there is no bucket {self.name} at {self._url}")
        return dict(buckets[0])

    async def _ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, **asked: str
    ) -> dict[str, Any]:
        try:
            return await asyncio.to_thread(
                self._client.request, method, path, json=body, params=asked
            )
        except NoAnswerError as error:
            raise RetentionError(str(error)) from error
