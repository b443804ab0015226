"""InfluxDB 2.x and 3.x: the v2 API, through influxdb-client."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp

from exporter.sink.target import (
    ROLLUPS,
    WRITE_SECONDS,
    NotAllowedError,
    RejectedError,
    RetryLaterError,
    retry_after,
)

if TYPE_CHECKING:
    from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync

_UNITS = {"h": 3600, "d": 86400, "w": 604800}


class InfluxV2:
    """One bucket ``<database>/raw`` and one for each roll-up, mapped so that InfluxQL finds them.

    InfluxDB 2.x serves InfluxQL for ``database`` and ``retention policy`` through a mapping to a
    bucket, which it makes by itself only for some bucket names and versions; so it is made here.
    """

    def __init__(self, url: str, database: str, retention: str, org: str, token: str) -> None:
        self._url = url
        self._database = database
        self._retention_seconds = (
            0 if retention == "inf" else int(retention[:-1]) * _UNITS[retention[-1]]
        )
        self._org = org
        self._token = token
        self._client: InfluxDBClientAsync | None = None

    async def prepare(self) -> None:
        """See :class:`exporter.sink.target.Target`."""
        from influxdb_client.rest import ApiException

        try:
            await asyncio.to_thread(self._create)
        except ApiException as error:
            reason = f"{self._url}/api/v2 answered {error.status}: {_words(error)}"
            if error.status in (401, 403):
                raise NotAllowedError(reason) from error
            raise RetryLaterError(reason) from error
        except Exception as error:
            raise RetryLaterError(f"{self._url}: {_words(error)}") from error

    def _create(self) -> None:
        from influxdb_client.client.influxdb_client import InfluxDBClient
        from influxdb_client.domain.bucket_retention_rules import BucketRetentionRules
        from influxdb_client.domain.dbrp_create import DBRPCreate
        from influxdb_client.service.dbr_ps_service import DBRPsService

        with InfluxDBClient(self._url, self._token, org=self._org, timeout=10_000) as client:
            buckets = client.buckets_api()
            mappings = DBRPsService(client.api_client)
            existing = mappings.get_dbr_ps(org=self._org, db=self._database).content or []
            mapped = {entry.retention_policy for entry in existing}
            for policy in ("raw", *ROLLUPS):
                name = f"{self._database}/{policy}"
                bucket = buckets.find_bucket_by_name(name)
                if bucket is None:
                    seconds = self._retention_seconds if policy == "raw" else 0
                    rule = BucketRetentionRules(type="expire", every_seconds=seconds)
                    bucket = buckets.create_bucket(
                        bucket_name=name, retention_rules=rule, org=self._org
                    )
                if policy not in mapped:
                    mappings.post_dbrp(
                        DBRPCreate(
                            org=self._org,
                            bucket_id=bucket.id,
                            database=self._database,
                            retention_policy=policy,
                            default=policy == "raw",
                        )
                    )

    async def write(self, body: bytes) -> None:
        """See :class:`exporter.sink.target.Target`."""
        from influxdb_client.rest import ApiException
        from influxdb_client.service.write_service import WriteService

        client = self._connected()
        try:
            await WriteService(client.api_client).post_write_async(
                org=self._org,
                bucket=f"{self._database}/raw",
                body=body,
                precision="ms",
                content_encoding="gzip",
                content_type="text/plain; charset=utf-8",
                async_req=False,
            )
        except ApiException as error:
            await self._refused(error)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise RetryLaterError(f"{self._url}: {type(error).__name__}: {error}") from error

    async def _refused(self, error: Any) -> None:
        status = int(error.status or 0)
        reason = f"{self._url}/api/v2/write answered {status}: {_words(error)}"
        if status in (400, 413, 422):
            # 2.x stores nothing of a batch it answers with 400, and may have stored a part of one
            # that it answers with 422; how many points, it does not say.
            raise RejectedError(reason) from error
        if status == 404:
            await self.prepare()
        headers = error.headers or {}
        raise RetryLaterError(reason, retry_after(headers.get("Retry-After"))) from error

    def _connected(self) -> InfluxDBClientAsync:
        if self._client is None:
            from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync

            self._client = InfluxDBClientAsync(
                self._url, self._token, org=self._org, timeout=int(WRITE_SECONDS * 1000)
            )
        return self._client

    async def close(self) -> None:
        """See :class:`exporter.sink.target.Target`."""
        if self._client is not None:
            await self._client.close()


def _words(error: Exception) -> str:
    """The server's own words, on one line; the client's text would repeat all headers."""
    body = getattr(error, "body", None) or str(error)
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)
    return " ".join(text.split())[:500]
