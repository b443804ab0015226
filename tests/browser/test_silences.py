"""Acknowledging and silencing on the page, behind the guard, with a real Alertmanager."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from exporter.deliver.alertmanager import Alertmanager
from tests.browser.pages import browsers, opened
from tests.serve.access import tenants
from tests.serve.access.tenants import Tenants
from tests.serve.api.alertmanager import alertmanager

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.stack

SITE = "southmark-1"
HOT = "FleetscopeBatteryTemperatureCritical"
THERE = "document.querySelectorAll('#alerts li').length > 0"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsers() as launch:
        yield launch("--disable-gpu")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tenants]:
    folder = tmp_path_factory.mktemp("silences")
    with alertmanager(folder) as server:
        server.post(
            {
                "labels": {"site": SITE, "alertname": HOT, "severity": "page", "scope": "site"},
                "annotations": {"summary": "Plant <b>1</b> is hot"},
            }
        )
        with tenants.serving(folder, alertmanager=Alertmanager(server.url, {})) as found:
            yield found


def test_an_operator_acknowledges_and_ends_it(served: Tenants, browser: Browser) -> None:
    path = f"/#/site/{SITE}"
    with opened(browser, served.url, path, user="south_operator", ready=THERE) as seen:
        page = seen.page
        assert "Plant <b>1</b> is hot" in page.inner_text("#alerts")
        page.click("#alerts li button")
        assert seen.focused() == "silence-comment"
        assert seen.violations() == []
        page.keyboard.press("Enter")  # without a reason nothing is sent
        page.fill("#silence-comment", "fan is being changed")
        page.select_option("#silence-hours", "1")
        page.keyboard.press("Tab")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        seen.until("document.querySelector('#alerts').textContent.includes('acknowledged')")
        (alert,) = served.ask("south_operator", "get", f"/api/v1/alerts?site={SITE}").json()[
            "alerts"
        ]
        (made,) = alert["silences"]
        assert made["comment"] == "Acknowledged: fan is being changed"
        assert made["author"] == "south_operator"
        assert "by south_operator" in page.inner_text("#alerts")
        page.click("#alerts button[aria-label^='End the silence']")
        seen.until("document.querySelector('#alerts').textContent.includes('has ended')")
        seen.wrong = [line for line in seen.wrong if "422" not in line]


def test_what_is_silenced_stands_on_the_page(served: Tenants, browser: Browser) -> None:
    shown = "document.querySelector('#silences-title').textContent.includes('ilenced')"
    with opened(browser, served.url, user="south_viewer", ready=shown) as seen:
        seen.until(
            "document.querySelector('#silences-title').textContent === 'Nothing is silenced'"
        )
    wanted = {"site": SITE, "alert": HOT, "hours": 1, "comment": "fan <b>is</b> being changed"}
    reply = served.ask("south_operator", "post", "/api/v1/alerts/silence", json=wanted)
    assert reply.status_code == 200, reply.text
    (made,) = reply.json()["silences"]
    try:
        with opened(browser, served.url, user="south_viewer", ready=shown) as seen:
            page = seen.page
            seen.until(
                "document.querySelector('#silences-title').textContent === 'Silenced or muted: 1'"
            )
            page.click("#silences-title")
            row = page.inner_text("#silences tbody tr")
            assert HOT in row
            assert "fan <b>is</b> being changed" in row
            assert "south_operator" in row
            assert seen.violations() == []
    finally:
        body = {"site": SITE, "silence": made["id"]}
        served.ask("south_operator", "post", "/api/v1/alerts/expire", json=body)


def test_a_viewer_sees_alerts_and_cannot_silence(served: Tenants, browser: Browser) -> None:
    path = f"/#/site/{SITE}"
    with opened(browser, served.url, path, user="south_viewer", ready=THERE) as seen:
        page = seen.page
        assert "need the role operator" in page.inner_text("#alerts")
        assert page.locator("#alerts button").count() == 0
        assert page.locator(".contact").count() == 0, "contacts are for operators"
