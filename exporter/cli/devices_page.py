"""Writes docs/devices.md from the drivers and the templates that ship."""

from __future__ import annotations

from pathlib import Path

from exporter.cli.markdown import page, table
from exporter.drivers import DRIVERS
from exporter.drivers.template.template_file import load_template, shipped
from exporter.drivers.template.template_model import Template
from exporter.drivers.template.template_values import quantities_of

_EXAMPLE = """```yaml
template: my-box
title: My box
gives: battery
transport: http            # or modbus
source: its manual, page 12
switch_on: Settings, API, on
requests: {status: /status}
readings:
  - {quantity: soc_percent, path: battery.soc, missing: [255]}
  - {quantity: power_w, path: battery.kw, scale: -1000}
  - quantity: grid_power_w
    sum: [{path: meter.0.power}, {path: meter.1.power, optional: true}]
alarms:
  - {alarm: HighTemperature, path: battery.state, values: {ok: 0, warm: 1, hot: 2}}
```"""

_STEPS = """```sh
fleetscope probe 192.0.2.7 --template my-box.yaml
fleetscope probe 192.0.2.7 --template my-box.yaml --parameter serial=116181234567
```"""
_SETPOINT_EXAMPLE = """```yaml
setpoints:
  - name: battery_power_w
    minimum: -5000
    maximum: 5000
    reversion_seconds: 60
    in_force: {register: 1100}
    held: {register: 1101, type: i16, scale: 10}
    write:
      - {register: 1102, value: 60}
      - {register: 1101, type: i16, scale: 10}
      - {register: 1100, value: 1}
    release:
      - {register: 1100, value: 0}
```"""
_MODBUS_EXAMPLE = """```yaml
template: my-meter
title: My meter
gives: grid meter
transport: modbus
source: its manual, table of input registers
switch_on: At the meter, Modbus address 1
unit: 1
readings:
  - {quantity: grid_power_w, register: 52, type: f32, function: input}
  - {quantity: grid_voltage_v, register: 0, type: f32, function: input}
  - {quantity: grid_import_kwh, register: 72, type: u32, function: input, scale: 0.01}
```"""


def devices() -> str:
    """The page of devices."""
    return page(
        "Devices",
        "What each driver and template reads, and how to switch it on at the device. `fleetscope "
        "probe ADDRESS` tries them on an address and prints the entry for the fleet file; "
        "[fleet-file.md](fleet-file.md#drivers) has every option.",
        "## Drivers",
        table(
            ("driver", "address", "gives", "at the device"),
            [
                (f"`{name}`", f"`{d.schemes[0]}://HOST`", d.gives or "–", d.switch_on or "–")
                for name, d in sorted(DRIVERS.items())
            ],
        ),
        "## Templates",
        "A site names one with `driver: template` and `template: NAME`. Signs are those of the "
        "[glossary](glossary.md): battery power positive when charging, grid power positive when "
        "importing. The templates follow public documents and were proven against replies made "
        "after them, not at the devices.",
        *[_section(load_template(name, Path())) for name in shipped()],
        "## A template of your own",
        "Write a file, try it on the device, then name it in the fleet file:",
        _STEPS,
        "The command names every mistake in the file with its place, then each quantity with its "
        "value, where it came from and what stood there. In the fleet file `template: my-box.yaml` "
        "is relative to that file; it is checked when the fleet file is, and read again when the "
        "fleet file is. [Kinds](fleet-file.md#kinds) lists which quantities a site should give.",
        "A device with JSON over HTTP:",
        _EXAMPLE,
        "A device with registers over Modbus. Manuals often number registers from 1 and put their "
        "table before the number: 30053 is the input register 52 (30053 - 30001), 40053 the "
        "holding register 52.",
        _MODBUS_EXAMPLE,
        table(
            ("key of a reading", "meaning"),
            [
                ("`quantity`", "Its name in the [glossary](glossary.md)"),
                ("`device`", "`battery/0` where it is left out; for quantities of a battery only"),
                (
                    "`request`, `path`",
                    "Over HTTP: which reply (the first one where it is left out),"
                    " and where in it: `a.b.0.c`, or `[name=x].value` out of a list of objects",
                ),
                (
                    "`register`, `type`",
                    "Over Modbus: address from 0, and `u16`, `i16`, `u32`, "
                    "`i32`, `u64`, `i64`, `f32` or `f64`",
                ),
                ("`function`, `unit`", "`holding` or `input`; a unit other than the site's"),
                ("`scale_register`", "A register with a power of ten, as in SunSpec"),
                ("`scale`, `offset`", "raw x scale + offset; a scale of -1 turns the sign"),
                (
                    "`missing`",
                    "Raw values that mean that there is none. Registers whose bits mean "
                    "so by themselves (0xFFFF, 0x8000, 0x7FFFFFFF and others) are known",
                ),
                (
                    "`bit`",
                    "One bit of a whole number, from 0 for the lowest: 0 or 1, which `values` and "
                    "`scale` then take",
                ),
                ("`values`", "Text or number to number, for enumerations"),
                (
                    "`sum`",
                    "Parts that are added; without one that is not `optional` there is no sum",
                ),
                (
                    "`alarm`",
                    "In place of `quantity`, under `alarms`: 0 is ok, 1 a warning, 2 an alarm; "
                    "of the battery, or of the `device` that it names",
                ),
            ],
        ),
        "The template itself has `word_order` (`big`, or `little` where the lowest register comes "
        "first), `largest_gap` (registers that may be read along, 8), `unit`, `port`, "
        "`parameters` (`${name}` in requests and paths, which the site fills in), and `serial`. "
        "Over MQTT (`transport: mqtt`, `driver: template-mqtt`) it has `topics` in place of "
        "`requests`, and `expires_seconds` (60) after which a message is too old; a message that "
        "is the value itself needs no `path`. Retained messages are not taken. Two sites of one "
        "broker cannot have topics right below the same level. Templates have no single cells.",
        "### Set-points",
        "A device that takes a power and drops it by itself can be given "
        "[orders](dispatch.md). One without a time of reversion is not written.",
        _SETPOINT_EXAMPLE,
        table(
            ("key of a set-point", "meaning"),
            [
                ("`name`", "`battery_power_w`, `grid_setpoint_w` or `deferred_load_w`"),
                ("`minimum`, `maximum`, `step`", "What the device takes and resolves, W"),
                ("`reversion_seconds`", "3 to 3600: without a new write the device drops it"),
                ("`held`", "Where the set-point in force is read, as a reading is"),
                ("`in_force`", "Where it is read whether one is, 0 for none"),
                ("`write`, `release`", "Writes in their order; each leaves the device safe"),
                (
                    "`register`, `type`, `value`, `scale`, `offset`",
                    "Over Modbus: the register holds (value - offset) / scale; `value` is a "
                    "number, or the set-point where it is left out",
                ),
                (
                    "`method`, `target`, `body`",
                    "Over HTTP: POST or PUT of JSON, in which `${setpoint}` is the figure",
                ),
                (
                    "`topic`, `body`",
                    "Over MQTT: the figure alone where there is no body; what the device "
                    "publishes afterwards is read back",
                ),
            ],
        ),
    )


def _section(template: Template) -> str:
    site, battery = quantities_of(template)
    scheme = template.transport
    port = f":{template.port}" if template.port else ""
    entry = (
        f"{{id: ID, driver: template, template: {template.template}, "
        f"api_endpoint: '{scheme}://HOST{port}'"
    )
    if template.parameters:
        entry += ", parameters: {" + ", ".join(f"{n}: …" for n in template.parameters) + "}"
    lines = [
        f"### `{template.template}`: {template.title}",
        "",
        f"Gives {template.gives}: {', '.join(f'`{name}`' for name in (*site, *battery))}.",
        "",
        f"{template.switch_on} Source: {template.source}.",
        "",
    ]
    for name, parameter in template.parameters.items():
        default = f" (`{parameter.default}` where it is left out)" if parameter.default else ""
        lines.append(f"- `{name}`: {parameter.meaning}{default}")
    if template.parameters:
        lines.append("")
    lines.append(f"`- {entry}}}`")
    return "\n".join(lines)
