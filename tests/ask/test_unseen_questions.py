"""Questions that were written before the grammar was widened: each becomes its query, or none."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from exporter.ask.language.parse import NotUnderstoodError, understand
from exporter.ask.lookup import Directory
from tests.ask.conftest import WALL
from tests.ask.phrases import compact, read

REFUSED = "!"
UNSEEN = read("unseen.txt") + read("ordinary.txt")


@pytest.mark.parametrize(("text", "wanted"), UNSEEN)
def test_an_unseen_question_is_what_it_asks_or_is_refused(
    directory: Directory, text: str, wanted: str
) -> None:
    now, zone = datetime.fromtimestamp(WALL, UTC), ZoneInfo("Europe/Berlin")
    if wanted == REFUSED:
        with pytest.raises(NotUnderstoodError) as error:
            understand(text, directory, now, zone)
        assert str(error.value)
    else:
        assert compact(understand(text, directory, now, zone).query) == wanted


def test_both_languages_and_refusals_are_there() -> None:
    assert len(UNSEEN) >= 80
    assert sum(wanted == REFUSED for _, wanted in UNSEEN) >= 10
