"""How long InfluxDB keeps full detail: what is older would be dropped as it is written."""

from __future__ import annotations

import base64
import math
from typing import Any

import aiohttp

from exporter.config.settings import Settings

_UNITS = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}
_DAY = 86_400
# What InfluxDB itself chooses for more than half a year; a file a day would be many files.
_SHARD_DAYS = 7


class RetentionError(Exception):
    """The retention cannot be read, or does not suffice; the text says what to do."""


class Retention:
    """The retention of the full detail in the InfluxDB of the settings."""

    def __init__(self, settings: Settings) -> None:
        self._url = str(settings.influxdb_url)
        self._database = settings.influxdb_database
        self._v1 = settings.influxdb_api == "v1"
        self._org = settings.influxdb_org
        self._headers = {}
        token, password = settings.influxdb_token, settings.influxdb_password
        if not self._v1:
            self._headers["Authorization"] = f"Token {token.get_secret_value() if token else ''}"
        elif settings.influxdb_username:
            secret = password.get_secret_value() if password else ""
            both = f"{settings.influxdb_username}:{secret}".encode()
            self._headers["Authorization"] = f"Basic {base64.b64encode(both).decode()}"

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
            answer = await self._ask(
                "POST", "/query", q=f'SHOW RETENTION POLICIES ON "{self._database}"'
            )
            for result in answer.get("results", []):
                for series in result.get("series", []):
                    for row in series["values"]:
                        if row[0] == "raw":
                            return _duration(str(row[1]))
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
            async with (
                aiohttp.ClientSession(
                    headers=self._headers, timeout=aiohttp.ClientTimeout(total=30)
                ) as http,
                http.request(
                    method, self._url + path, params=asked, json=body, allow_redirects=False
                ) as reply,
            ):
                answer = await reply.json(content_type=None)
                if reply.status >= 300 or not isinstance(answer, dict):
                    raise RetentionError(f"{self._url}{path} answered {reply.status}")
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise RetentionError(f"{self._url}: {type(error).__name__}: {error}") from error
        for result in answer.get("results", []):
            if "error" in result:
                raise RetentionError(f"{self._url}{path}: {result['error']}")
        return answer


def _duration(text: str) -> float:
    """Seconds of Go's way of writing a duration, ``2160h0m0s``; 0 is without limit."""
    total, number = 0.0, ""
    for character in text:
        if character.isdigit() or character == ".":
            number += character
        else:
            total += float(number or 0) * _UNITS.get(character, 0)
            number = ""
    return total or math.inf
