"""InfluxDB as routes ask it: there or not, answering or not."""

from __future__ import annotations

import logging
from collections.abc import Awaitable
from typing import TypeVar

from fastapi import HTTPException

from exporter.history.influxql import InfluxQL, NoAnswerError

log = logging.getLogger(__name__)
T = TypeVar("T")
NOTHING_STORED = "nothing is stored: FLEETSCOPE_INFLUXDB_URL is not set"


def needed(stored: InfluxQL | None) -> InfluxQL:
    """What is stored.

    Raises
    ------
    HTTPException
        503 where no InfluxDB is set.
    """
    if stored is None:
        raise HTTPException(503, NOTHING_STORED)
    return stored


async def answered(answer: Awaitable[T], what: str) -> T:
    """The answer of InfluxDB to ``what``, such as ``a history``.

    Raises
    ------
    HTTPException
        Where there is none; its address is logged and not shown.
    """
    try:
        return await answer
    except NoAnswerError as error:
        log.info("%s has no answer: %s", what, error)
        raise HTTPException(error.status, error.reason) from error
