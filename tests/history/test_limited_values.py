"""A request reads no more of InfluxDB than one may, in all its statements together."""

from __future__ import annotations

import asyncio

import pytest

from exporter.history.influxql import InfluxQL, NoAnswerError, limited_values
from tests.serve.test_processes import _History, listening

VALUES = 50 * 1000


@pytest.mark.slow
async def test_what_one_request_reads_is_bounded() -> None:
    with listening(_History) as url:
        stored = InfluxQL(url, "fleet", {})
        with limited_values(2 * VALUES):
            # Also by what it asks at the same time.
            await asyncio.gather(*(stored.select("SELECT 1") for _ in range(2)))
            with pytest.raises(NoAnswerError) as refused:
                await stored.select("SELECT 1")
        assert (refused.value.status, "more than 100,000 values" in refused.value.reason) == (
            422,
            True,
        )
        # Another one has a limit of its own, and the exporter itself has none.
        with limited_values(VALUES):
            assert len(await stored.select("SELECT 1")) == 50
        for _ in range(3):
            await stored.select("SELECT 1")
        await stored.close()
