"""InfluxDB 2.x: the v2 API, through influxdb-client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp

from exporter.model.levels import RAW, duration_seconds, shard_seconds
from exporter.store.target import (
    POLICIES,
    TAKEN,
    WRITE_SECONDS,
    InfluxTarget,
    NotAllowedError,
    RefusedError,
    RetryLaterError,
    left_out,
    retry_after,
)

if TYPE_CHECKING:
    from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync


class InfluxV2(InfluxTarget):
    """One bucket ``<database>/raw`` and one for each roll-up, mapped so that InfluxQL finds them.

    InfluxDB 2.x serves InfluxQL for ``database`` and ``retention policy`` through a mapping to a
    bucket, which it makes by itself only for some bucket names and versions; so it is made here.
    """

    _client: InfluxDBClientAsync | None = None

    async def prepare(self) -> None:
        """See :class:`exporter.store.target.Target`."""
        from influxdb_client.rest import ApiException

        try:
            async with self._preparing:
                await self._create()
        except ApiException as error:
            reason = f"{self._url}/api/v2 answered {error.status}: {_words(error)}"
            version = str(error.headers.get("X-Influxdb-Version", "")) if error.headers else ""
            if error.status == 404 and version.removeprefix("v").startswith("1."):
                reason = f"{self._url} is InfluxDB {version}; set FLEETSCOPE_INFLUXDB_API=v1"
            if error.status in (401, 403):
                raise NotAllowedError(reason) from error
            raise RetryLaterError(reason) from error
        except RetryLaterError:
            raise
        except Exception as error:
            raise RetryLaterError(f"{self._url}: {_words(error)}") from error

    async def _create(self) -> None:
        from influxdb_client.domain.bucket_retention_rules import BucketRetentionRules
        from influxdb_client.domain.dbrp_create import DBRPCreate
        from influxdb_client.domain.post_bucket_request import PostBucketRequest
        from influxdb_client.service.buckets_service import BucketsService
        from influxdb_client.service.dbr_ps_service import DBRPsService
        from influxdb_client.service.organizations_service import OrganizationsService

        client = self._connected().api_client
        organizations = (await OrganizationsService(client).get_orgs_async(org=self._org)).orgs
        if not organizations:
            raise RetryLaterError(f"{self._url} has no organization {self._org}")
        org_id = organizations[0].id
        buckets, mappings = BucketsService(client), DBRPsService(client)
        existing = await mappings.get_dbr_ps_async(org_id=org_id, db=self._database)
        mapped = {
            entry.retention_policy
            for entry in existing.content or []
            if not getattr(entry, "virtual", False)
        }
        for policy in POLICIES:
            name = f"{self._database}/{policy}"
            bucket = await _find_bucket(buckets, name, org_id)
            if bucket is None:
                duration = self._retention[policy]
                rule = BucketRetentionRules(
                    type="expire",
                    every_seconds=duration_seconds(duration) or 0,
                    shard_group_duration_seconds=shard_seconds(policy, duration),
                )
                wanted = PostBucketRequest(org_id=org_id, name=name, retention_rules=[rule])
                bucket = await _make_bucket(buckets, wanted)
            if policy not in mapped:
                mapping = DBRPCreate(
                    org_id=org_id,
                    bucket_id=bucket.id,
                    database=self._database,
                    retention_policy=policy,
                    default=policy == RAW,
                )
                await _map(mappings, mapping)

    async def write(self, body: bytes, policy: str = RAW) -> None:
        """See :class:`exporter.store.target.Target`."""
        from influxdb_client.rest import ApiException
        from influxdb_client.service.write_service import WriteService

        client = self._connected()
        try:
            _, status, _ = await WriteService(client.api_client).post_write_async(
                org=self._org,
                bucket=f"{self._database}/{policy}",
                body=body,
                precision="ms",
                content_encoding="gzip",
                content_type="text/plain; charset=utf-8",
                async_req=False,
                _return_http_data_only=False,
            )
        except ApiException as error:
            await self._refused(error)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            broken_off = not isinstance(error, aiohttp.ClientConnectorError)
            reason = f"{self._url}: {type(error).__name__}: {error}"
            raise RetryLaterError(reason, broken_off=broken_off) from error
        if status != TAKEN:
            words = f"answered {status}, which does not say that the points were stored"
            raise RefusedError(f"{self._url}/api/v2/write {words}", words)

    async def _refused(self, error: Any) -> None:
        status = int(error.status or 0)
        reason = f"{self._url}/api/v2/write answered {status}: {_words(error)}"
        if status in (400, 413, 422):
            # After 400 2.x has stored nothing; after 422 the good points of a partial write, and
            # it says how many it dropped.
            dropped = left_out(_body(error)) if status == 422 else None
            raise RefusedError(reason, _words(error), dropped) from error
        if status == 404:
            await self.prepare()
        headers = error.headers or {}
        raise RetryLaterError(reason, retry_after(headers.get("Retry-After"))) from error

    def _connected(self) -> InfluxDBClientAsync:
        if self._client is None:
            from influxdb_client.client.influxdb_client_async import InfluxDBClientAsync

            self._client = InfluxDBClientAsync(
                self._url,
                "",
                org=self._org,
                timeout=int(WRITE_SECONDS * 1000),
                # A redirected POST becomes a GET, which would pass for a batch that was taken.
                allow_redirects=False,
            )
            for header, value in self._headers.items():
                self._client.api_client.set_default_header(header, value)
        return self._client

    async def close(self) -> None:
        """See :class:`exporter.store.target.Target`."""
        if self._client is not None:
            await self._client.close()


async def _make_bucket(service: Any, wanted: Any) -> Any:
    """The new bucket, or that of the same name which another exporter has just made."""
    from influxdb_client.rest import ApiException

    try:
        return await service.post_buckets_async(wanted)
    except ApiException as error:
        found = None
        if error.status == 422:
            found = await _find_bucket(service, wanted.name, wanted.org_id)
        if found is None:
            raise
        return found


async def _map(service: Any, mapping: Any) -> None:
    """Create a mapping; another exporter may just have done so."""
    from influxdb_client.rest import ApiException

    try:
        await service.post_dbrp_async(mapping)
    except ApiException as error:
        if error.status != 422 or "another DBRP mapping" not in _body(error):
            raise


async def _find_bucket(service: Any, name: str, org_id: str) -> Any:
    """The bucket of that name, or None; servers report its absence by 404 or by an empty list."""
    from influxdb_client.rest import ApiException

    try:
        found = (await service.get_buckets_async(name=name, org_id=org_id)).buckets
    except ApiException as error:
        if error.status == 404:
            return None
        raise
    return found[0] if found else None


def _body(error: Exception) -> str:
    body = getattr(error, "body", None) or str(error)
    return body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body)


def _words(error: Exception) -> str:
    """The server's own words, on one line; the client's text would repeat all headers."""
    return " ".join(_body(error).split())[:500]
