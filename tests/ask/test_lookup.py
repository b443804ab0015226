"""Sites are found by id, name or part; what is close is offered, never taken."""

from __future__ import annotations

import pytest

from exporter.ask.lookup import Directory, UnknownSiteError
from exporter.ask.query import Filter


@pytest.mark.parametrize(
    ("text", "site"),
    [
        ("site_alpha", "site_alpha"),
        ("SITE_ALPHA", "site_alpha"),
        ("site alpha", "site_alpha"),
        ("alpha", "site_alpha"),
        ("alph", "site_alpha"),
        ("depot north", "depot_north"),
        ("north", "depot_north"),
        ("Muller", "bakery-7"),
        ("bäckerei", "bakery-7"),
        ("🥐", "bakery-7"),
        ("o'brien", "farm-1"),
        ("<b>Farm</b> O'Brien", "farm-1"),
        ("Clinic", "clinic"),
    ],
)
def test_found(directory: Directory, text: str, site: str) -> None:
    assert directory.find(text) == site


@pytest.mark.parametrize(
    ("text", "suggestions"),
    [
        ("depot", ("depot_north", "depot_south")),
        ("site_alhpa", ("site_alpha",)),
        ("Gama", ("site_gamma",)),
        ("xyzzy", ()),
        ("", ()),
    ],
)
def test_not_found(directory: Directory, text: str, suggestions: tuple[str, ...]) -> None:
    with pytest.raises(UnknownSiteError) as error:
        directory.find(text)
    assert error.value.suggestions[: len(suggestions)] == suggestions
    assert bool(error.value.suggestions) == bool(suggestions)


def test_filters_take_the_spelling_of_the_fleet_file(directory: Directory) -> None:
    assert directory.match_filter(Filter("location", "zurich")).value == "Zürich"
    with pytest.raises(UnknownSiteError, match="no site has the region 'iberien'; it has iberia"):
        directory.match_filter(Filter("region", "iberien"))
