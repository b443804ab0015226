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
NODE_WIDTH, LABEL_HEIGHT, VALUE_HEIGHT = 30.0, 9.0, 13.0
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
        Whether a positive value flows to the hub.
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
    elements = [_hub(nodes), *(part for node in nodes for part in (_label(node), _value(node)))]
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


def _hub(nodes: Sequence[Node]) -> dict[str, Any]:
    config = {"text": {"mode": "fixed", "fixed": HUB}, "color": {"fixed": "text"}, "size": 14}
    border = {"color": {"fixed": "text"}, "width": 1, "radius": 4}
    outwards = [_connection(node) for node in nodes if not node.inwards]
    return _element(HUB, "rectangle", HUB_PLACE, config, border=border, connections=outwards)


def _label(node: Node) -> dict[str, Any]:
    place = {"left": node.left, "top": node.top, "width": NODE_WIDTH, "height": LABEL_HEIGHT}
    config = {"text": {"mode": "fixed", "fixed": node.name}, "color": {"fixed": "text"}, "size": 14}
    return _element(_end(node) if _below(node) else f"{node.name} name", "text", place, config)


def _value(node: Node) -> dict[str, Any]:
    place = {
        "left": node.left,
        "top": node.top + LABEL_HEIGHT,
        "width": NODE_WIDTH,
        "height": VALUE_HEIGHT,
    }
    config = {"text": {"mode": "field", "field": node.name}, "color": {"fixed": "text"}, "size": 20}
    name = f"{node.name} value" if _below(node) else _end(node)
    inwards = [_connection(node)] if node.inwards else []
    return _element(name, "metric-value", place, config, connections=inwards)


def _below(node: Node) -> bool:
    """Whether the node lies below the hub, so that its label is nearer to it than its value."""
    return node.side[1] > 0


def _end(node: Node) -> str:
    """Name of the element that a connection begins or ends at."""
    return node.name


def _connection(node: Node) -> dict[str, Any]:
    """From where a positive value comes to where it goes; a negative one turns the arrow."""
    x, y = node.side
    at_node, at_hub = {"x": x, "y": y}, {"x": -x, "y": -y}
    return {
        "source": at_node if node.inwards else at_hub,
        "target": at_hub if node.inwards else at_node,
        "targetName": HUB if node.inwards else _end(node),
        "path": "straight",
        "color": {"fixed": node.colour},
        "size": {"fixed": 3, "min": 1, "max": 10},
        "direction": {"mode": "field", "field": node.name, "fixed": "forward"},
        "lineStyle": {"style": "solid"},
        "radius": 0,
    }
