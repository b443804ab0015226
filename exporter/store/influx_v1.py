"""InfluxDB 1.x: the ``/write`` endpoint, and databases and retention policies by InfluxQL."""

from __future__ import annotations

import json
from typing import Any

import aiohttp

from exporter.model.levels import RAW, shard_seconds
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

_LARGEST_REPLY = 1024 * 1024


class InfluxV1(InfluxTarget):
    """One database, its retention policy ``raw`` and one for each roll-up."""

    _http: aiohttp.ClientSession | None = None

    async def prepare(self) -> None:
        """See :class:`exporter.store.target.Target`."""
        await self._query(f'CREATE DATABASE "{self._database}"')
        answer = await self._query(f'SHOW RETENTION POLICIES ON "{self._database}"')
        series = answer["results"][0].get("series", [{}])[0].get("values", [])
        existing = {row[0] for row in series}
        for name in POLICIES:
            if name not in existing:
                duration = self._retention[name]
                shard = shard_seconds(name, duration)
                files = f" SHARD DURATION {shard}s" if shard else ""
                default = " DEFAULT" if name == RAW else ""
                await self._query(
                    f'CREATE RETENTION POLICY "{name}" ON "{self._database}" '
                    f"DURATION {duration} REPLICATION 1{files}{default}"
                )

    async def write(self, body: bytes, policy: str = RAW) -> None:
        """See :class:`exporter.store.target.Target`."""
        params = {"db": self._database, "rp": policy, "precision": "ms"}
        headers = {"Content-Encoding": "gzip", "Content-Type": "text/plain; charset=utf-8"}
        try:
            async with self._connected().post(
                f"{self._url}/write",
                params=params,
                data=body,
                headers=headers,
                allow_redirects=False,
            ) as reply:
                if reply.status == TAKEN:
                    return
                text = await _text(reply)
                status, after = reply.status, reply.headers.get("Retry-After")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            broken_off = not isinstance(error, aiohttp.ClientConnectorError)
            reason = f"{self._url}: {type(error).__name__}: {error}"
            raise RetryLaterError(reason, broken_off=broken_off) from error
        reason = f"{self._url}/write answered {status}: {_error_text(text)}"
        if status in (400, 413, 422) or 200 <= status < 300:
            # 1.x has stored the good points of a partial write and says how many it dropped.
            raise RefusedError(reason, _error_text(text), left_out(text))
        if status == 404 or "retention policy not found" in text:
            await self.prepare()
        raise RetryLaterError(reason, retry_after(after))

    def _connected(self) -> aiohttp.ClientSession:
        if self._http is None:
            self._http = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=WRITE_SECONDS, sock_connect=2),
                headers=self._headers,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._http

    async def close(self) -> None:
        """See :class:`exporter.store.target.Target`."""
        if self._http is not None:
            await self._http.close()

    async def _query(self, statement: str) -> dict[str, Any]:
        try:
            async with self._connected().post(
                f"{self._url}/query", data={"q": statement}, allow_redirects=False
            ) as reply:
                text = await reply.text()
                status = reply.status
            answer = json.loads(text)
            if not isinstance(answer, dict):
                raise ValueError("not an object")
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise RetryLaterError(f"{self._url}: {type(error).__name__}: {error}") from error
        results = answer.get("results", [{}])
        fault = answer.get("error") or (results[0].get("error") if results else None)
        if status in (401, 403):
            raise NotAllowedError(f"{self._url}/query answered {status}: {fault}")
        if status != 200 or fault:
            raise RetryLaterError(f"{self._url}/query answered {status}: {fault}")
        return answer


async def _text(reply: aiohttp.ClientResponse) -> str:
    body = b""
    while len(body) < _LARGEST_REPLY and (chunk := await reply.content.read(_LARGEST_REPLY)):
        body += chunk
    return body.decode("utf-8", "replace")


def _error_text(text: str) -> str:
    try:
        return str(json.loads(text)["error"])[:500]
    except (ValueError, KeyError, TypeError):
        return " ".join(text.split())[:500]
