"""A diagram of flows on Grafana's Canvas: nodes around a hub, joined by arrows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from grafana_foundation_sdk.builders import canvas
from grafana_foundation_sdk.models.canvas import CanvasOptionsRoot, Options

from grafana.kit.panels import Spec, dress

HUB = "Site"
HUB_PLACE = {"left": 41.0, "top": 41.0, "width": 18.0, "height": 18.0}
NODE_WIDTH, LABEL_HEIGHT, VALUE_HEIGHT = 34.0, 9.0, 13.0
SCALED = {"horizontal": "scale", "vertical": "scale"}


@dataclass(frozen=True)
class Node:
    """One end of a flow.

    Attributes
    ----------
    name : str
        Also that of its field.
    left, top : float
        Per cent of the panel.
    side : tuple of float
        Where the connection leaves the value: x to the right and y upwards, each from -1 to 1.
    colour : str
        Of the connection.
    inwards : bool
        A positive value flows to the hub; else away from it.
    """

    name: str
    left: float
    top: float
    side: tuple[float, float]
    colour: str
    inwards: bool


def flow_diagram(spec: Spec, nodes: Sequence[Node]) -> canvas.Panel:
    """Nodes with their values around a hub; each arrow follows the sign of its value."""
    panel = dress(canvas.Panel(), spec)
    panel.inline_editing(False).show_advanced_types(True).pan_zoom(False)
    elements = [_hub(), *(part for node in nodes for part in (_label(node), _value(node)))]
    root = {"name": "Flows", "type": "frame", "elements": elements}
    # The SDK's model of a connection has no direction.
    cast(Options, panel.build().options).root = cast(CanvasOptionsRoot, root)
    return panel


def _element(
    name: str, kind: str, place: dict[str, float], config: dict[str, Any], **more: Any
) -> dict[str, Any]:
    left, top = place["left"], place["top"]
    placement = {
        "left": left,
        "top": top,
        "right": 100 - left - place["width"],
        "bottom": 100 - top - place["height"],
        "rotation": 0,
    }
    return {
        "name": name,
        "type": kind,
        "config": {"align": "center", "valign": "middle"} | config,
        "constraint": SCALED,
        "placement": placement,
        "background": {"color": {"fixed": "transparent"}},
        "border": {"color": {"fixed": "transparent"}},
        "connections": [],
        **more,
    }


def _hub() -> dict[str, Any]:
    config = {
        "text": {"mode": "fixed", "fixed": HUB},
        "color": {"fixed": "text"},
        "size": 14,
    }
    border = {"color": {"fixed": "text"}, "width": 1, "radius": 4}
    return _element(HUB, "rectangle", HUB_PLACE, config, border=border)


def _label(node: Node) -> dict[str, Any]:
    place = {"left": node.left, "top": node.top, "width": NODE_WIDTH, "height": LABEL_HEIGHT}
    config = {
        "text": {"mode": "fixed", "fixed": node.name},
        "color": {"fixed": "text"},
        "size": 14,
    }
    above = [_connection(node)] if node.side[1] > 0 else []
    return _element(f"{node.name} name", "text", place, config, connections=above)


def _value(node: Node) -> dict[str, Any]:
    place = {
        "left": node.left,
        "top": node.top + LABEL_HEIGHT,
        "width": NODE_WIDTH,
        "height": VALUE_HEIGHT,
    }
    config = {
        "text": {"mode": "field", "field": node.name},
        "color": {"fixed": "text"},
        "size": 20,
    }
    others = [_connection(node)] if node.side[1] <= 0 else []
    return _element(node.name, "metric-value", place, config, connections=others)


def _connection(node: Node) -> dict[str, Any]:
    x, y = node.side
    return {
        "source": {"x": x, "y": y},
        "target": {"x": -x, "y": -y},
        "targetName": HUB,
        "path": "straight",
        "color": {"fixed": node.colour},
        "size": {"fixed": 3, "min": 1, "max": 10},
        "direction": {
            "mode": "field",
            "field": node.name,
            "fixed": "forward" if node.inwards else "reverse",
        },
        "lineStyle": {"style": "solid"},
        "radius": 0,
    }
