"""``/api/v1/nodes``: sites that are registered over the API, stored beside the fleet file."""

from __future__ import annotations

import copy
import hashlib
import logging
import secrets
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Body, HTTPException, Request, Response
from pydantic import BaseModel

from exporter.config.fleet_file import FleetFileError
from exporter.config.nodes_file import NodesFile, TakenError, UnknownNodeError
from exporter.serve.access.guard import authorise, caller_of
from exporter.serve.access.roles import Action
from exporter.serve.api.schemas import problems_of

log = logging.getLogger(__name__)

Node = dict[str, Any]


class Registered(BaseModel):
    """A site as it was registered; ``token`` once, where one was made for a node that sends."""

    node: Node
    token: str | None = None


class NodeList(BaseModel):
    """The registered sites that the caller may change."""

    nodes: list[Node]


def router(nodes: NodesFile, changed: Callable[[], None]) -> APIRouter:
    """The routes.

    Parameters
    ----------
    nodes : NodesFile
    changed : callable
        Called after a change, which is in force soon after.
    """
    routes = APIRouter(prefix="/api/v1", tags=["nodes"], responses=problems_of(401, 403))

    def known(name: str, request: Request) -> Node:
        """A registered site that the caller may change."""
        node = _read(nodes).get(name)
        if node is None:
            raise HTTPException(404, "there is no such registered site")
        authorise(request, Action.NODES, node.get("project"))
        return node

    # Plain functions: a pool of threads runs them, and files may be slow.
    @routes.get("/nodes")
    def list_nodes(request: Request) -> NodeList:
        """Sites that were registered here; those of the fleet file are not among them."""
        caller = caller_of(request)
        found = _read(nodes).values()
        return NodeList(nodes=[n for n in found if caller.may(Action.NODES, n.get("project"))])

    @routes.post("/nodes", status_code=201, responses=problems_of(409, 422, 503))
    def add_node(request: Request, node: Node = Body()) -> Registered:  # noqa: B008 - FastAPI's way
        """Register a site. A node that sends gets a token where the request names none."""
        authorise(request, Action.NODES, _project(node))
        node, token = _with_token(node)
        _changing(lambda: nodes.put(node, caller_of(request).name))
        changed()
        return Registered(node=node, token=token)

    @routes.put("/nodes/{site_id}", responses=problems_of(404, 422, 503))
    def change_node(request: Request, site_id: str, node: Node = Body()) -> Registered:  # noqa: B008
        """Replace a registered site."""
        before = known(site_id, request)
        authorise(request, Action.NODES, _project(node))
        way, sent = _sends(node), _sends(before)
        if way is not None and sent is not None and "token_sha256" in sent:
            way.setdefault("token_sha256", sent["token_sha256"])
        if node.setdefault("id", site_id) != site_id:
            raise HTTPException(422, "id: is not the one of the address; a new id is a new site")
        _changing(lambda: nodes.put(node, caller_of(request).name, replaces=site_id))
        changed()
        return Registered(node=node)

    @routes.delete("/nodes/{site_id}", status_code=204, responses=problems_of(404, 503))
    def remove_node(request: Request, site_id: str) -> Response:
        """Remove a registered site; what is stored of it stays."""
        known(site_id, request)
        _changing(lambda: nodes.remove(site_id, caller_of(request).name))
        changed()
        return Response(status_code=204)

    return routes


def _project(node: Node) -> str | None:
    project = node.get("project")
    if project is not None and not isinstance(project, str):
        raise HTTPException(422, "project: expected text")
    return project


def _sends(node: Node) -> dict[str, Any] | None:
    """What says that a node sends by itself: the node, or one of its ways in; None: it does not."""
    ways = node.get("drivers", [node])
    entries = [way for way in ways if isinstance(way, dict)] if isinstance(ways, list) else []
    return next((way for way in entries if way.get("driver") == "push"), None)


def _with_token(node: Node) -> tuple[Node, str | None]:
    """The node, and the token that was made for it where it sends and names none."""
    node = copy.deepcopy(node)
    way = _sends(node)
    if way is None or "token_sha256" in way:
        return node, None
    token = secrets.token_urlsafe(32)
    way["token_sha256"] = hashlib.sha256(token.encode()).hexdigest()
    return node, token


def _read(nodes: NodesFile) -> dict[str, Node]:
    found: dict[str, Node] = {}
    _changing(lambda: found.update(nodes.all()))
    return found


def _changing(change: Callable[[], None]) -> None:
    """Make a change; what hinders it becomes an answer."""
    try:
        change()
    except TakenError as error:
        raise HTTPException(409, f"{error}: there is such a site already") from None
    except UnknownNodeError:
        raise HTTPException(404, "there is no such registered site") from None
    except FleetFileError as error:
        found = "; ".join(f"{m.key}: {m.message}" if m.key else m.message for m in error.mistakes)
        raise HTTPException(422, found) from None
    except OSError as error:
        log.error("nodes.yaml cannot be written: %s", error.strerror)
        detail = f"nodes.yaml cannot be read or written: {error.strerror}"
        raise HTTPException(503, detail) from None
