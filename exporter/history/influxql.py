"""Questions to InfluxDB in InfluxQL, which 1.x and 2.x answer alike under ``/query``."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from exporter.config.settings import Settings

ANSWER_SECONDS = 60.0
LARGEST_ANSWER = 256 * 1024 * 1024


class NoAnswerError(Exception):
    """InfluxDB did not answer, or refused; the text says which, and holds no secret."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series of an answer: its tags, and rows under its columns; times are in milliseconds."""

    tags: dict[str, str]
    columns: list[str]
    rows: list[list[Any]]


def quoted(value: str) -> str:
    """A text as InfluxQL writes it in a condition."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"


def name(value: str) -> str:
    """A measurement, field or tag as InfluxQL writes it."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


class InfluxQL:
    """One database, read only. Made from the settings with which the writer is made."""

    def __init__(self, url: str, database: str, headers: dict[str, str]) -> None:
        self.url = url
        self.database = database
        self.headers = headers
        self._http: aiohttp.ClientSession | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> InfluxQL | None:
        """The client for the InfluxDB of the settings; None where they name none."""
        if settings.influxdb_url is None:
            return None
        headers = {}
        if settings.influxdb_api == "v2":
            token = settings.influxdb_token
            headers["Authorization"] = f"Token {token.get_secret_value() if token else ''}"
        elif settings.influxdb_username:
            password = settings.influxdb_password
            secret = password.get_secret_value() if password else ""
            both = f"{settings.influxdb_username}:{secret}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(both).decode()}"
        return cls(settings.influxdb_url, settings.influxdb_database, headers)

    async def select(self, statement: str, retention: str = "raw") -> list[Series]:
        """The series that a statement gives, in the server's order.

        Raises
        ------
        NoAnswerError
        """
        if self._http is None:
            self._http = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS, sock_connect=2),
                headers=self.headers,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        asked = {"db": self.database, "rp": retention, "epoch": "ms", "q": statement}
        try:
            async with self._http.post(
                f"{self.url}/query", data=asked, allow_redirects=False
            ) as reply:
                body, status = await _body(reply), reply.status
            answer = orjson.loads(body)
            results = answer.get("results") or []
            fault = answer.get("error") or next((r["error"] for r in results if "error" in r), None)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            words = str(error) or f"no answer within {ANSWER_SECONDS:.0f} s"
            raise NoAnswerError(f"{self.url}: {type(error).__name__}: {words}") from error
        except (ValueError, AttributeError, TypeError) as error:
            raise NoAnswerError(f"{self.url}/query answers, but not as InfluxDB does") from error
        if status != 200 or fault:
            raise NoAnswerError(f"{self.url}/query answered {status}: {str(fault)[:300]}")
        return [
            Series(series.get("tags") or {}, series["columns"], series["values"])
            for result in results
            for series in result.get("series", [])
        ]

    async def close(self) -> None:
        """Close connections."""
        if self._http is not None:
            await self._http.close()


async def _body(reply: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in reply.content.iter_any():
        body += chunk
        if len(body) > LARGEST_ANSWER:
            raise OSError("the answer is larger than 256 MiB; ask for a shorter time or one site")
    return bytes(body)
