"""What a caller may read of InfluxDB: every statement is limited to its sites, or refused."""

from __future__ import annotations

import pytest

from exporter.history.influxql import NoAnswerError
from exporter.serve.access.visible_past import limited_to

LIMITED = "\"site\" = 'a' AND "


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (
            'SELECT mean("x") FROM "site" WHERE time > 1ms GROUP BY time(1h)',
            f'SELECT mean("x") FROM "site" WHERE {LIMITED}time > 1ms GROUP BY time(1h)',
        ),
        (
            'SELECT sum("x") FROM "db"."raw"."site" WHERE ("a" = \'1\' OR "a" = \'2\')',
            f'SELECT sum("x") FROM "db"."raw"."site" WHERE {LIMITED}("a" = \'1\' OR "a" = \'2\')',
        ),
        (
            'SELECT "s" FROM (SELECT difference("x") AS "s" FROM "health" WHERE time > 1ms '
            'GROUP BY "site") WHERE "s" != 0 OR "s" > 1',
            f'SELECT "s" FROM (SELECT difference("x") AS "s" FROM "health" WHERE {LIMITED}'
            'time > 1ms GROUP BY "site") WHERE "s" != 0 OR "s" > 1',
        ),
        (
            'SELECT "x" FROM "site" WHERE "text" = \' OR FROM "other" WHERE \'',
            f'SELECT "x" FROM "site" WHERE {LIMITED}"text" = \' OR FROM "other" WHERE \'',
        ),
    ],
)
def test_statements_are_limited(statement: str, expected: str) -> None:
    assert limited_to({"a"}, statement) == expected


@pytest.mark.parametrize(
    "statement",
    [
        'SELECT "x" FROM "site"',
        'SELECT "x" FROM "site" GROUP BY "site"',
        'SELECT "x" FROM site WHERE time > 1ms',
        'SELECT "x" FROM "site", "battery" WHERE time > 1ms',
        'SELECT "x" FROM "site" WHERE time > 1ms OR "site" = \'b\'',
        'SELECT "x" from "site" WHERE time > 1ms',
        'SELECT "x" FROM (SELECT "x" FROM "site") WHERE time > 1ms',
    ],
)
def test_what_cannot_be_limited_is_refused(statement: str) -> None:
    with pytest.raises(NoAnswerError):
        limited_to({"a"}, statement)
