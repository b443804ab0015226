"""The dispatcher over real devices: switches, requests, restarts, clocks, what is left behind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from exporter.control import foreign_setpoints
from exporter.control.dispatcher import Dispatcher
from exporter.control.gate import DispatchMode
from exporter.control.journal import JournalError, JournalReader, KeyReusedError
from exporter.control.requests import ApproveRequest, DispatchOffError, DispatchRequest
from exporter.model.orders import OrderAction, OrderSource, OrderState
from simulator.controlled import ControlledSite
from tests.control.world import World, heard, killed, listening, modbus_site, until, world_of

pytestmark = [pytest.mark.stack, pytest.mark.usefixtures("short_times")]
S = OrderState


class Sites:
    """Some played sites by name, and the world around them."""

    def __init__(self, world: World, played: dict[str, ControlledSite], folder: Path) -> None:
        self.world = world
        self.played = played
        self.journal = folder / "orders.sqlite"

    async def start(self, mode: DispatchMode = DispatchMode.ON) -> Dispatcher:
        dispatcher = self.world.begin(self.journal, mode)
        await dispatcher.start()
        return dispatcher

    @property
    def first(self) -> ControlledSite:
        return next(iter(self.played.values()))


@pytest.fixture
async def sites(tmp_path: Path) -> AsyncIterator[Sites]:
    """Three sites; ``gamma`` takes no orders."""
    played = {
        "alpha": ControlledSite(soc_percent=50, reversion_seconds=None),
        "beta": ControlledSite(soc_percent=90, portal="c0619ab00002"),
        "gamma": ControlledSite(portal="c0619ab00003"),
    }
    async with AsyncExitStack() as opened:
        described = []
        for name, site in played.items():
            port = await opened.enter_async_context(listening(site))
            described.append(modbus_site(port, name, enabled=name != "gamma"))
        world = await opened.enter_async_context(world_of(described))
        await heard(world)
        yield Sites(world, played, tmp_path)


async def test_off_takes_no_orders(sites: Sites) -> None:
    dispatcher = await sites.start(DispatchMode.OFF)
    with pytest.raises(DispatchOffError):
        await sites.world.order("charge", 1.0)
    await dispatcher.stop()
    assert not any(site.writes for site in sites.played.values())


async def test_dry_judges_and_writes_nothing(sites: Sites) -> None:
    dispatcher = await sites.start(DispatchMode.DRY)
    answer = await sites.world.dispatch("charge", 9.0, sites=["alpha", "gamma"])
    assert [order["state"] for order in answer["orders"]] == ["dry", "refused"]
    assert answer["orders"][0]["allowed_w"] == 5000
    assert answer["orders"][1]["limits"][0]["code"] == "not_enabled"
    await sites.world.release()
    await dispatcher.stop()
    assert not any(site.writes for site in sites.played.values())
    assert dispatcher.book().writes == 0


async def test_an_order_is_dry_unless_it_says_otherwise(sites: Sites) -> None:
    dispatcher = await sites.start()
    order = await sites.world.order("charge", 1.0, dry_run=True)
    assert sites.world.states(order) == ["drafted", "dry"]
    await dispatcher.stop()
    assert not sites.first.writes


async def test_a_total_is_shared_by_room(sites: Sites) -> None:
    dispatcher = await sites.start()
    both = ["alpha", "beta"]
    answer = await sites.world.dispatch("charge", 3.0, sites=both, in_total=True)
    # 50 % and 10 % of the same capacity are left to charge.
    shares = [order["wanted_w"] for order in answer["orders"]]
    assert shares == pytest.approx([2500, 500], rel=0.01)
    for order in answer["orders"]:
        await sites.world.comes_to(order["id"], S.EFFECTIVE)
    await dispatcher.stop()
    assert not any(site.forced for site in sites.played.values())


async def test_a_repeated_request_is_carried_out_once(sites: Sites) -> None:
    dispatcher = await sites.start()
    first = await sites.world.dispatch("charge", 1.0, key="k", digest="a")
    assert await sites.world.dispatch("charge", 1.0, key="k", digest="a") == first
    with pytest.raises(KeyReusedError):
        await sites.world.dispatch("charge", 2.0, key="k", digest="b")
    await dispatcher.stop()
    assert len(JournalReader(sites.journal).orders()) == 1


async def test_a_plan_waits_for_approval_and_yields_to_people(sites: Sites) -> None:
    dispatcher = await sites.start()
    plan = {"source": OrderSource.PLAN, "needs_approval": True}
    waiting = await sites.world.order("charge", 1.0, **plan)
    assert sites.world.states(waiting)[-1] == "awaiting_approval"
    approval = ApproveRequest(
        issuer="boss", role="operator", address="", reason="go", orders=(waiting,)
    )
    assert await dispatcher.answer(approval) == (200, {"approved": [waiting]})
    assert (await dispatcher.answer(approval))[1] == {"approved": []}
    await sites.world.comes_to(waiting, S.ACKNOWLEDGED)
    manual = await sites.world.order("discharge", 1.0)
    await sites.world.comes_to(manual, S.ACKNOWLEDGED)
    assert sites.world.states(waiting)[-1] == "superseded"
    refused = await sites.world.dispatch("charge", 1.0, source=OrderSource.PLAN)
    assert refused["orders"][0]["state"] == "refused"
    assert refused["orders"][0]["limits"][0]["code"] == "lower_source"
    await dispatcher.stop()


async def test_an_order_that_begins_later_waits(sites: Sites) -> None:
    dispatcher = await sites.start()
    world = sites.world
    assert world.dispatcher is not None
    request = DispatchRequest(
        issuer="ops",
        role="operator",
        address="",
        reason="later",
        sites=("alpha",),
        action=OrderAction.CHARGE,
        power_w=1000.0,
        in_total=False,
        start=world.wall() + 1800.0,
        expires=world.wall() + 3600.0,
        dry_run=False,
    )
    answer = await dispatcher.dispatch(request)
    order = answer["orders"][0]["id"]
    # An order of another site comes through meanwhile.
    other = await world.order("charge", 1.0, sites=["beta"])
    await world.comes_to(other, S.EFFECTIVE)
    assert not sites.first.writes
    world.wall.seconds += 1800.0
    await world.comes_to(order, S.ACKNOWLEDGED)
    sent = next(e for _, e in world.rows if e.order == order and e.state is S.SENT)
    assert sent.time >= request.start
    await dispatcher.stop()


@pytest.mark.parametrize("state", [S.ACCEPTED, S.SENT, S.ACKNOWLEDGED, S.EFFECTIVE])
async def test_after_a_crash_in_any_state_nothing_stays_forced(sites: Sites, state: S) -> None:
    await sites.start()
    order = await sites.world.order("charge", 1.0, seconds=60.0)
    await sites.world.comes_to(order, state)
    await killed(sites.world)
    # It is overdue when the exporter is back.
    sites.world.wall.seconds += 120
    again = await sites.start()
    await until(lambda: again.open_orders("alpha") == [])
    expected = ["expired"] if state is S.ACCEPTED else ["expired", "released"]
    assert sites.world.states(order)[-len(expected) :] == expected
    assert not sites.first.forced
    # What was not sent before the crash is not sent after it.
    if state is not S.SENT:
        assert bool(sites.first.writes) is (state is not S.ACCEPTED)
    await again.stop()
    assert JournalReader(sites.journal).broken_at() is None
    assert not JournalReader(sites.journal).orders(live=True)


async def test_an_order_in_force_goes_on_after_a_restart(sites: Sites) -> None:
    await sites.start()
    order = await sites.world.order("charge", 1.0)
    await sites.world.comes_to(order, S.EFFECTIVE)
    await killed(sites.world)
    writes = len(sites.first.writes)
    again = await sites.start()
    await until(lambda: len(sites.first.writes) > writes)
    assert again.book().sites[0].order == order
    assert sites.world.states(order).count("sent") == 1
    await again.stop()
    assert not sites.first.forced
    assert sites.world.states(order)[-1] == "released"


async def test_what_was_left_is_released_though_orders_are_off_now(sites: Sites) -> None:
    await sites.start()
    order = await sites.world.order("charge", 1.0)
    await sites.world.comes_to(order, S.EFFECTIVE)
    await killed(sites.world)
    again = await sites.start(DispatchMode.OFF)
    await sites.world.comes_to(order, S.RELEASED)
    assert not sites.first.forced
    assert "is off" in sites.world.evidence(order, S.FAILED)["reason"]
    await again.stop()


@pytest.mark.parametrize("step", [-7200.0, 7200.0])
async def test_a_step_of_the_clock_prolongs_nothing(sites: Sites, step: float) -> None:
    dispatcher = await sites.start()
    order = await sites.world.order("charge", 1.0, seconds=3600.0)
    await sites.world.comes_to(order, S.EFFECTIVE)
    sites.world.wall.seconds += step
    if step < 0:
        # By the wall clock it has hours left; by the time since it was accepted it is over.
        sites.world.monotonic.seconds += 3601.0
    await sites.world.comes_to(order, S.RELEASED)
    assert "expired" in sites.world.states(order)
    assert not sites.first.forced
    await dispatcher.stop()


async def test_a_clock_behind_the_journal_ends_what_was_left(sites: Sites) -> None:
    await sites.start()
    order = await sites.world.order("charge", 1.0)
    await sites.world.comes_to(order, S.EFFECTIVE)
    await killed(sites.world)
    sites.world.wall.seconds -= 86400
    again = await sites.start()
    await sites.world.comes_to(order, S.RELEASED)
    assert not sites.first.forced
    await again.stop()


async def test_two_dispatchers_cannot_share_a_journal(sites: Sites) -> None:
    dispatcher = await sites.start()
    with pytest.raises(JournalError, match="another process"):
        sites.world.begin(sites.journal)
    await dispatcher.stop()


async def test_a_journal_that_cannot_be_written_sends_nothing_and_releases(sites: Sites) -> None:
    dispatcher = await sites.start()
    order = await sites.world.order("charge", 1.0)
    await sites.world.comes_to(order, S.EFFECTIVE)
    rows = dispatcher._journal._rows
    (pages,) = rows.execute("PRAGMA page_count").fetchone()
    rows.execute(f"PRAGMA max_page_count = {pages}")
    refused = False
    while not refused:
        try:
            await sites.world.dispatch("charge", 1.0, sites=["beta"], dry_run=True)
        except JournalError as error:
            refused = "full" in str(error)
    await until(lambda: not sites.first.forced)
    writes = len(sites.played["beta"].writes)
    with pytest.raises(JournalError):
        await sites.world.order("charge", 1.0, sites=["beta"])
    assert len(sites.played["beta"].writes) == writes
    assert dispatcher.book().journal_failure is not None
    # There is room again: what happened meanwhile is written.
    rows.execute("PRAGMA max_page_count = 100000")
    await until(lambda: dispatcher.book().journal_failure is None)
    await dispatcher.stop()
    reader = JournalReader(sites.journal)
    assert [e.state for e in reader.history(order)][-2:] == [S.FAILED, S.RELEASED]
    assert reader.broken_at() is None


async def test_the_red_button_says_what_it_could_not_reach(sites: Sites) -> None:
    dispatcher = await sites.start()
    both = ["alpha", "beta"]
    sites.played["beta"].reversion_seconds = None
    made = await sites.world.dispatch("charge", 1.0, sites=both)
    for order in made["orders"]:
        await sites.world.comes_to(order["id"], S.EFFECTIVE)
    sites.played["beta"].keeps = True
    answer = await sites.world.release()
    ids = {order["site"]: order["id"] for order in answer["orders"]}
    assert answer["nothing_to_release"] == ["gamma"]
    await sites.world.comes_to(ids["alpha"], S.RELEASED)
    await until(
        lambda: any("still holds" in s.failure for s in dispatcher.book().sites if s.site == "beta")
    )
    # A release that was sent and is not done is owed: an alert pages for it.
    (beta,) = (s for s in dispatcher.book().sites if s.site == "beta")
    assert beta.release_owed_since == pytest.approx(sites.world.wall(), abs=600)
    assert beta.forced
    sites.played["beta"].keeps = False
    await sites.world.comes_to(ids["beta"], S.RELEASED)
    assert dispatcher.book().sites == ()
    assert not any(site.forced for site in sites.played.values())
    await dispatcher.stop()


async def test_a_site_that_leaves_the_fleet_file_is_released_first(sites: Sites) -> None:
    dispatcher = await sites.start()
    order = await sites.world.order("charge", 1.0)
    await sites.world.comes_to(order, S.EFFECTIVE)
    fleet = sites.world.fleet
    await dispatcher.prepare(fleet.model_copy(update={"sites": fleet.sites[1:]}))
    assert not sites.first.forced
    assert sites.world.states(order)[-2:] == ["cancelled", "released"]
    await dispatcher.stop()


async def test_two_exporters_at_one_site_end_truly_and_leave_nothing(
    sites: Sites, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each has a journal of its own, so that no lock keeps them apart."""
    monkeypatch.setattr(foreign_setpoints, "LOOK_SECONDS", 0.1)
    ours = await sites.start()
    first = await sites.world.order("charge", 1.0)
    await sites.world.comes_to(first, S.EFFECTIVE)
    port = int(sites.world.fleet.sites[0].api_endpoint.rsplit(":", 1)[1])
    async with world_of([modbus_site(port, "alpha")]) as other:
        await heard(other)
        theirs = other.begin(tmp_path / "theirs.sqlite")
        await theirs.start()
        # A set-point that nobody ordered there shows before anything is done.
        await until(lambda: "alpha" in theirs.book().foreign)
        second = await other.order("discharge", 1.0)
        ended = {"failed", "ineffective"}
        await until(lambda: ended & {*sites.world.states(first), *other.states(second)})
        for world in (sites.world, other):
            await world.release("alpha")
        await until(lambda: not ours.open_orders("alpha") and not theirs.open_orders("alpha"))
        for world, order in ((sites.world, first), (other, second)):
            assert world.states(order).count("sent") == 1
            assert (ended | {"superseded"}) & set(world.states(order))
        # Whoever was last to release read that the site is free.
        assert not sites.first.forced
        await theirs.stop()
    await ours.stop()
    for path in (sites.journal, tmp_path / "theirs.sqlite"):
        reader = JournalReader(path)
        assert reader.broken_at() is None
        assert not reader.orders(live=True)
