"""The documents: what their policies admit, and what they say where a library is absent."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import yaml

from exporter.config.settings import load_settings
from exporter.deliver.runbooks import ISSUE_RUNBOOKS, OTHER_ISSUES, issue_runbooks, runbooks
from exporter.serve.page import Links
from exporter.serve.page.documents import CELLS, FLEET, document
from provisioning.prometheus.generate import files
from provisioning.prometheus.generate import issue_runbooks as issue_runbooks_text
from scoring.rules import RULES
from tests.serve.api.served import ServedFleet, plan


@pytest.fixture(scope="module")
def served() -> Iterator[ServedFleet]:
    fleet = ServedFleet(plan(2))
    fleet.scrape()
    with fleet.serving():
        yield fleet


@pytest.mark.parametrize("path", ["/", "/cells", "/energy", "/runbooks"])
def test_policies_admit_no_markup_and_nothing_from_outside(served: ServedFleet, path: str) -> None:
    status, headers, body = served.ask(path)
    assert status == 200
    policy = headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "default-src 'none'" in policy
    assert not re.search(rb"(?:src|href)=\"https?:", body)


def test_no_page_loads_a_script_from_anywhere(served: ServedFleet) -> None:
    for parts in (FLEET, CELLS):
        html, policy = document(parts)
        assert "'self'" not in policy.partition("script-src")[2].partition(";")[0]
        assert b"<script src" not in html


def test_a_text_of_the_settings_ends_no_script() -> None:
    html, _ = document(FLEET, Links("http://a.example/</script><script>1"))
    assert html.count(b"</script>") == 1


def test_links_are_those_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Links.of(load_settings()) == Links("", "runbooks")
    monkeypatch.setenv("FLEETSCOPE_GRAFANA_URL", "https://grafana.example.com/")
    monkeypatch.setenv("FLEETSCOPE_RUNBOOKS_URL", "https://wiki.example.com/fleet")
    assert Links.of(load_settings()) == Links(
        "https://grafana.example.com", "https://wiki.example.com/fleet/docs/runbooks.md"
    )


def test_every_runbook_has_its_anchor(served: ServedFleet) -> None:
    body = served.ask("/runbooks")[2].decode()
    for name in runbooks():
        assert f'<h2 id="{name.lower()}">{name}</h2>' in body
    assert ".md" not in re.sub(r"<[^>]+>", "", "".join(re.findall(r'href="[^"]*"', body)))


def test_an_issue_leads_to_the_runbook_of_its_alert() -> None:
    assert ISSUE_RUNBOOKS.read_text("utf-8") == issue_runbooks_text(), "run make generate"
    alerts = {}
    for text in files().values():
        for group in yaml.safe_load(text)["groups"]:
            alerts |= {rule["alert"]: rule["expr"] for rule in group["rules"] if "alert" in rule}
    found = issue_runbooks()
    assert set(found) <= {OTHER_ISSUES} | {rule.code for rule in RULES}
    for code, names in found.items():
        for name in names:
            assert name in runbooks()
            if code not in ("site_offline", "cell_finding", "battery_temperature", OTHER_ISSUES):
                assert f'code="{code}"' in alerts[name], name
    assert found["battery_soc"] == ("FleetscopeBatterySocWarning", "FleetscopeBatterySocCritical")
    assert found["grid_lost"] == ("FleetscopeGridLost", "FleetscopeGridLost")


@pytest.mark.parametrize("path", ["/", "/cells", "/energy", "/runbooks"])
def test_every_mark_of_the_frame_is_filled(served: ServedFleet, path: str) -> None:
    html = served.ask(path)[2].decode()
    assert html.count("<!doctype html>") == html.count("<title>") == html.count("<style>") == 1
    assert "<!--" not in html
    assert "/* style */" not in html
