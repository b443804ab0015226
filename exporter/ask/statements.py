"""Several statements to InfluxDB at once, and its failures as answers that cannot be given."""

from __future__ import annotations

import asyncio
import logging

from exporter.ask.answer import CannotAnswerError
from exporter.history.influxql import InfluxQL, NoAnswerError, Series

log = logging.getLogger(__name__)


async def ask(stored: InfluxQL, statements: list[str], policy: str = "raw") -> list[list[Series]]:
    """The series of each statement, their times in Unix seconds.

    Raises
    ------
    CannotAnswerError
        If InfluxDB does not answer, or not with a result.
    """
    try:
        found = await asyncio.gather(*(stored.select(text, policy) for text in statements))
    except NoAnswerError as error:
        raise no_answer(error) from error
    return [
        [Series(s.tags, s.columns, [[row[0] / 1000.0, *row[1:]] for row in s.rows]) for s in result]
        for result in found
    ]


def no_answer(error: NoAnswerError) -> CannotAnswerError:
    """The answer that cannot be given while InfluxDB does not answer."""
    log.info("a question about the past has no answer: %s", error)
    return CannotAnswerError(f"the past is not known: {error.reason}", status=error.status)
