"""Projects of the fleet file: which sites are in which, and what a project may have."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.config.fleet import Project
from exporter.config.fleet_file import FleetFileError, parse_fleet
from exporter.drivers import DRIVERS

SITES = """sites:
  - {id: a, api_endpoint: http://192.0.2.1, project: south}
  - {id: b, api_endpoint: http://192.0.2.2, project: south}
  - {id: c, api_endpoint: http://192.0.2.3}
"""


def mistakes_of(text: str) -> list[str]:
    with pytest.raises(FleetFileError) as caught:
        parse_fleet(text, Path("fleet.yaml"), DRIVERS)
    return [str(mistake) for mistake in caught.value.mistakes]


def test_sites_name_their_projects() -> None:
    fleet = parse_fleet(SITES, Path("fleet.yaml"), DRIVERS)
    assert [site.project for site in fleet.sites] == ["south", "south", None]
    assert fleet.projects == {}


def test_projects_have_names_and_quotas() -> None:
    text = SITES + "projects:\n  south: {name: South Energy, most_sites: 2}\n  north: {}\n"
    fleet = parse_fleet(text, Path("fleet.yaml"), DRIVERS)
    assert fleet.projects == {
        "south": Project(name="South Energy", most_sites=2),
        "north": Project(),
    }


@pytest.mark.parametrize(
    ("projects", "mistake"),
    [
        (
            "south: {most_sites: 1}",
            "line 3, column 45: sites[1].project: the project south has more than its 1 sites "
            "(most_sites)",
        ),
        (
            "sout: {}",
            "line 2, column 45: sites[0].project: south: no such project under projects; did you "
            "mean sout?",
        ),
        ("south: {most_site: 1}", "unknown key; did you mean most_sites?"),
        ("south: {requests_per_minute: 0}", "line 6, column 11: projects.south.requests_per"),
        ("'so uth': {}", "projects"),
    ],
)
def test_mistakes_are_named_with_their_place(projects: str, mistake: str) -> None:
    found = mistakes_of(f"{SITES}projects:\n  {projects}\n")
    assert any(mistake in one for one in found), found


@pytest.mark.parametrize("project", ["'*'", "a b", "ä", "''", "5", f"{'x' * 33}"])
def test_a_project_is_a_short_plain_name(project: str) -> None:
    site = f"sites:\n  - {{id: a, api_endpoint: http://192.0.2.1, project: {project}}}\n"
    (mistake,) = mistakes_of(site)
    assert "sites[0].project" in mistake
