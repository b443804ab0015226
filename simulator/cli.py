"""Command line: ``python -m simulator serve | fleet | truth | portfolio``."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import secrets as random_secrets
import signal
import sys
import time
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from simulator.fleetfile import fleet, secrets, truth
from simulator.scenario import Scenario

if TYPE_CHECKING:
    from simulator.engine import Simulator
    from simulator.modbus.server import ModbusServer
    from simulator.vrm import VrmPortal


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="simulator", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="serve the sites of a scenario")
    serve.add_argument(
        "--listen", type=_address, default="127.0.0.1:0", help="loopback address and port"
    )
    serve.add_argument("--speed", type=_positive, default=1.0, help="simulated seconds per second")
    serve.add_argument("--start", type=_moment, help="simulated start, ISO 8601; default now")
    serve.add_argument("--step", type=_positive, help="step of the physics in seconds")
    serve.add_argument("--mqtt", type=_address, help="broker for the sites that speak MQTT")
    serve.add_argument("--modbus", type=_address, help="address of the sites that speak Modbus")
    serve.add_argument("--secrets", type=Path, help="tokens, as `fleet` wrote them")
    make = commands.add_parser("fleet", help="write the fleet file of a scenario")
    make.add_argument("--base-url", required=True, help="where the sites are served")
    make.add_argument(
        "--mqtt-url", help="broker of the sites that speak MQTT; without it they are read over HTTP"
    )
    make.add_argument(
        "--modbus-url", help="address of the sites that speak Modbus; without it, over HTTP"
    )
    make.add_argument("--output", type=Path, help="file to write; default standard output")
    make.add_argument(
        "--secrets",
        type=Path,
        help="file for tokens of sites in VRM and of nodes that post, written where it lacks them; "
        "without it these sites are read over HTTP",
    )
    make.add_argument("--push-url", help="where nodes post their telemetry")
    known = commands.add_parser("truth", help="print the ground truth of a scenario as JSON")
    month = commands.add_parser("portfolio", help="write a month of three large plants as files")
    month.add_argument("--output", type=Path, required=True, help="folder to write into")
    month.add_argument("--month", type=_month, default="2026-03", help="a month as 2026-03")
    month.add_argument("--zone", default="Europe/London", help="time zone of the market")
    month.add_argument("--seed", type=int, default=1)
    for command in (serve, make, known):
        command.add_argument("--scenario", required=True, help="a file, or demo or scale")
        command.add_argument("--sites", type=int, help="number of sites")
    return parser


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    if host != "localhost" and not ip_address(host).is_loopback:
        raise argparse.ArgumentTypeError(f"{host} is not a loopback address")
    return host, int(port)


def _month(text: str) -> tuple[int, int]:
    moment = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    return moment.year, moment.month


def _positive(text: str) -> float:
    value = float(text)
    if not 0.0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return value


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


async def _serve(scenario: Scenario, args: argparse.Namespace) -> None:
    # The physics takes seconds to import; the other commands do without it.
    from simulator.bridge import BridgeServer
    from simulator.engine import Simulator

    host, port = args.listen
    simulator = Simulator(scenario, speed=args.speed, start=args.start, step_seconds=args.step)
    known = {} if args.secrets is None else _secrets_of(args.secrets)
    server = BridgeServer(simulator, _portal(simulator, known))
    actual = await server.start(host, port)
    publishing = [
        *_publish(simulator, scenario, args.mqtt),
        *_send(simulator, scenario, args.mqtt, known),
    ]
    modbus = await _serve_modbus(simulator, scenario, args.modbus)
    sites = len(scenario.sites)
    shown = f"[{host}]" if ":" in host else host
    print(f"simulator: {sites} sites of {scenario.name} on http://{shown}:{actual}", flush=True)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
    for task in publishing:
        task.cancel()
    if modbus is not None:
        await modbus.stop()
    await server.stop()


def _portal(simulator: Simulator, known: dict[str, dict[str, str]]) -> VrmPortal | None:
    """Victron's portal, where a site that is in it has a token: one for all of them."""
    from simulator.vrm import VrmPortal

    in_vrm = [site.id for site in simulator.scenario.sites if site.protocol == "vrm"]
    tokens = [known[name]["token"] for name in in_vrm if name in known]
    return VrmPortal(simulator, tokens[0], time.monotonic) if tokens else None


def _send(
    simulator: Simulator,
    scenario: Scenario,
    broker: tuple[str, int] | None,
    known: dict[str, dict[str, str]],
) -> list[asyncio.Task[None]]:
    """Let the nodes send that send by themselves."""
    from simulator.nodes import Destination, post_nodes, publish_nodes

    tasks = []
    posting, over_mqtt = scenario.pushing("push"), scenario.pushing("push-mqtt")
    to = {
        one.id: Destination(known[one.id]["endpoint"], known[one.id]["token"])
        for one in posting
        if one.id in known
    }
    if to:
        tasks.append(asyncio.create_task(post_nodes(simulator, posting, to)))
    if broker is not None and over_mqtt:
        tasks.append(asyncio.create_task(publish_nodes(simulator, over_mqtt, *broker)))
    return tasks


def _publish(
    simulator: Simulator, scenario: Scenario, broker: tuple[str, int] | None
) -> list[asyncio.Task[None]]:
    """Publish the sites that speak MQTT, where there is a broker for them."""
    from simulator.venus_mqtt import devices_of, publish_devices

    chosen = [site.id for site in scenario.sites if site.protocol == "mqtt"]
    if broker is None or not chosen:
        return []
    devices = devices_of(simulator, chosen)
    return [asyncio.create_task(publish_devices(*broker, devices, before_tick=simulator.advance))]


async def _serve_modbus(
    simulator: Simulator, scenario: Scenario, address: tuple[str, int] | None
) -> ModbusServer | None:
    """Serve the sites that speak Modbus, each by its units, where there is an address for them."""
    from simulator.devices import SiteBus
    from simulator.modbus.gx import GxUnits
    from simulator.modbus.server import ModbusServer, Units
    from simulator.modbus.sunspec import SunSpecUnits

    found: list[tuple[str, Units]] = []
    for site in scenario.sites:
        if site.protocol == "modbus":
            found.append((site.id, GxUnits(SiteBus(simulator, site.id))))
        elif site.protocol == "sunspec":
            found.append((site.id, SunSpecUnits(simulator, site.id)))
    if address is None or not found:
        return None
    (first, units), *others = found
    server = ModbusServer(simulator, first, units, others)
    await server.start(*address)
    return server


def _secrets_of(path: Path) -> dict[str, dict[str, str]]:
    """Secrets by site id, as `fleet` wrote them."""
    found: dict[str, dict[str, str]] = yaml.safe_load(path.read_text("utf-8")) or {}
    return found


def _write_secrets(scenario: Scenario, args: argparse.Namespace) -> dict[str, str]:
    """Write tokens as the exporter's site secrets; gives them by site id.

    Those of an earlier call stay, since the simulator may run with them.
    """
    known = _secrets_of(args.secrets) if args.secrets.exists() else {}
    in_vrm = [site.id for site in scenario.sites if site.protocol == "vrm"]
    posting = [] if args.push_url is None else [one.id for one in scenario.pushing("push")]
    # The portal has one token for all of its sites.
    tokens = dict.fromkeys(in_vrm, random_secrets.token_urlsafe(24))
    tokens |= {name: random_secrets.token_urlsafe(24) for name in posting}
    tokens |= {name: known[name]["token"] for name in tokens.keys() & known.keys()}
    found = secrets(scenario, args.base_url, args.push_url, tokens)
    args.secrets.touch(mode=0o600)
    args.secrets.write_text(yaml.safe_dump(found, sort_keys=False), "utf-8")
    return tokens


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns the exit status."""
    args = _parser().parse_args(arguments)
    if args.command == "portfolio":
        from simulator.portfolio.files import write_month

        year, month = args.month
        write_month(args.output, year, month, args.zone, args.seed)
        return 0
    try:
        scenario = Scenario.load(args.scenario, sites=args.sites)
    except (OSError, ValueError, yaml.YAMLError) as error:
        print(f"simulator: {args.scenario}: {error}", file=sys.stderr)
        return 2
    if args.command == "truth":
        print(json.dumps(truth(scenario), indent=2))
    elif args.command == "fleet":
        tokens = None if args.secrets is None else _write_secrets(scenario, args)
        text = yaml.safe_dump(
            fleet(scenario, args.base_url, args.mqtt_url, args.modbus_url, tokens),
            sort_keys=False,
            allow_unicode=True,
        )
        if args.output is None:
            sys.stdout.write(text)
        else:
            args.output.write_text(text, encoding="utf-8")
    else:
        try:
            asyncio.run(_serve(scenario, args))
        except OSError as error:
            print(f"simulator: {error}", file=sys.stderr)
            return 2
    return 0
