"""Ordering from the page: the whole service, a device on the wire, an operator and a viewer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from simulator.controlled import ControlledSite
from tests.browser.pages import Seen, browsers, opened
from tests.serve.access.conftest import hashed
from tests.service_process import ServiceProcess, serving, until
from tests.stack.dispatch_service import Device, device, write_fleet

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.stack
SITE = "/#/site/alpha"
THERE = "document.querySelector('#orders') && !document.querySelector('#orders').hidden"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsers() as launch:
        yield launch("--disable-gpu")


@pytest.fixture(scope="module")
def alpha() -> Iterator[Device]:
    with device(ControlledSite(reversion_seconds=None)) as running:
        yield running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, alpha: Device) -> Iterator[ServiceProcess]:
    folder = tmp_path_factory.mktemp("orders")
    write_fleet(folder / "fleet.yaml", {"alpha": alpha.port})
    users = {name: hashed("pw") for name in ("ops", "looks")}
    roles = {"ops": {"*": "operator"}, "looks": {"*": "viewer"}}
    config = folder / "web.yml"
    config.write_text(yaml.safe_dump({"basic_auth_users": users, "roles": roles}), "utf-8")
    with serving(
        folder / "fleet.yaml",
        dispatch="on",
        dispatch_journal=str(folder / "orders.sqlite"),
        dispatch_second_look_kw="3",
        web_config=str(config),
    ) as running:
        until(lambda: running.get("/readyz")[0] == 200)
        yield running


def fill(seen: Seen, action: str, kilowatts: str, reason: str) -> None:
    page = seen.page
    page.select_option("#order-action", action)
    page.fill("#order-kw", kilowatts)
    page.fill("#order-reason", reason)
    page.click("#order-preview")
    seen.until("document.querySelector('#orders-preview p') !== null")


def says(seen: Seen, text: str, where: str = "#orders-list") -> None:
    found = json.dumps(text)
    seen.until(f"document.querySelector('{where}').textContent.includes({found})")


def orders(seen: Seen) -> list[Any]:
    asked = "fetch('api/v1/orders?site=alpha&dry=false').then((r) => r.json())"
    return list(seen.page.evaluate(asked)["orders"])


def test_an_operator_previews_orders_looks_twice_and_ends_it(
    service: ServiceProcess, alpha: Device, browser: Browser
) -> None:
    with opened(browser, service.url, SITE, user="ops", ready=THERE) as seen:
        page = seen.page
        seen.until("document.querySelector('#order-action') !== null")
        fill(seen, "charge", "2", "cheap <b>hours</b>")
        says(seen, "2.0 kW of 2.0 kW are allowed.", "#orders-preview")
        says(seen, "current limits of the battery", "#orders-preview")
        # A preview is dry.
        assert (orders(seen), alpha.site.writes) == ([], [])
        # Another figure takes the preview away, and with it the button.
        page.fill("#order-kw", "9")
        assert page.query_selector("#order-go") is None
        page.click("#order-preview")
        says(seen, "5.0 kW of 9.0 kW are allowed.", "#orders-preview")
        says(seen, "the site is rated for 5.0 kW when charging", "#orders-preview")
        # Above 3 kW it takes a second look.
        page.click("#order-go")
        assert seen.focused() == "order-confirm"
        assert seen.violations() == []
        page.fill("#order-confirm", "beta")
        page.click("#order-go")
        assert orders(seen) == []
        page.fill("#order-confirm", "alpha")
        page.keyboard.press("Enter")
        says(seen, "charge 9.0 kW: ")
        until(lambda: alpha.site.forced)
        says(seen, "effective")
        says(seen, "battery at 5.0 kW")
        (order,) = orders(seen)
        assert (order["issuer"], order["role"]) == ("ops", "operator")
        page.click(f"#cancel-{order['id']}")
        says(seen, "cancelled, released")
        says(seen, "cancelled on the page")
        assert not alpha.site.forced
        # Below it one look is enough.
        fill(seen, "discharge", "1", "peak")
        page.click("#order-go")
        says(seen, "discharge 1.0 kW: ")
        until(lambda: alpha.site.forced)
        page.click("#order-release")
        until(lambda: not alpha.site.forced)
        says(seen, "release: released")
        assert seen.violations() == []
        assert page.query_selector("#orders b") is None


def test_a_viewer_sees_orders_and_has_no_form(service: ServiceProcess, browser: Browser) -> None:
    with opened(browser, service.url, SITE, user="looks", ready=THERE, width=390) as seen:
        says(seen, "release: released")
        assert "Ordering needs the role operator" in seen.page.inner_text("#orders-form")
        assert seen.page.query_selector("#orders button") is None
        assert seen.overflow() <= 0
        body = {"targets": ["alpha"], "action": "hold", "reason": "r", "dry_run": False}
        status = seen.page.evaluate(
            "(body) => fetch('api/v1/dispatch', {method: 'POST', body: JSON.stringify(body),"
            " headers: {'Content-Type': 'application/json'}}).then((r) => r.status)",
            body,
        )
        assert status == 403
        seen.wrong = [line for line in seen.wrong if "403" not in line]
