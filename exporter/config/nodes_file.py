"""``nodes.yaml``: sites that were registered over the API, beside the fleet file.

Its sites are those of the fleet file by the same models and checks. People do not write it, and
this program never writes the fleet file. Every change is an event ``node`` of the audit log.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from exporter.config.driver_options import Declarations
from exporter.config.fleet_file import FleetFileError, load_fleet, nodes_path, parse_fleet
from exporter.model.audit_file import AuditFile

MOST_NODES = 10_000


class UnknownNodeError(Exception):
    """No registered site has that id."""


class TakenError(Exception):
    """Another site has that id, here or in the fleet file."""


class NodesFile:
    """The registered sites, as plain data by id.

    Parameters
    ----------
    fleet_path : Path
        The fleet file; ``nodes.yaml`` stands in its folder.
    drivers : Declarations
    audit : AuditFile
    """

    def __init__(self, fleet_path: Path, drivers: Declarations, audit: AuditFile) -> None:
        self._fleet_path = fleet_path
        self._path = nodes_path(fleet_path)
        self._drivers = drivers
        self._audit = audit
        self._lock = threading.Lock()

    def all(self) -> dict[str, dict[str, Any]]:
        """Every registered site.

        Raises
        ------
        OSError, FleetFileError
        """
        try:
            text = self._path.read_text("utf-8")
        except FileNotFoundError:
            return {}
        parse_fleet(text, self._path, self._drivers)
        return {site["id"]: site for site in yaml.safe_load(text)["sites"]}

    def put(self, site: Mapping[str, Any], by: str, *, replaces: str | None = None) -> None:
        """Add a site, or put it in the place of one.

        Parameters
        ----------
        site : mapping
            Keys of the fleet file.
        by : str
            Who does so, for the audit log.
        replaces : str or None
            Id of the site that it replaces, which is its own.

        Raises
        ------
        TakenError, UnknownNodeError, FleetFileError, OSError
        """
        with self._lock:
            self._put(site, by, replaces)

    def _put(self, site: Mapping[str, Any], by: str, replaces: str | None) -> None:
        known = self.all()
        name = str(site.get("id"))
        if replaces is not None and replaces not in known:
            raise UnknownNodeError(replaces)
        if replaces is None and (name in known or name in self._written_by_hand()):
            raise TakenError(name)
        if replaces is None and len(known) >= MOST_NODES:
            raise TakenError(f"{MOST_NODES} sites are registered already")
        self._write({**known, name: dict(site)})
        change = "change" if replaces else "add"
        self._audit.record("node", name=by, change=change, site=name, project=site.get("project"))

    def remove(self, name: str, by: str) -> None:
        """Remove a registered site.

        Raises
        ------
        UnknownNodeError, FleetFileError, OSError
        """
        with self._lock:
            known = self.all()
            removed = known.pop(name, None)
            if removed is None:
                raise UnknownNodeError(name)
            self._write(known)
            project = removed.get("project")
            self._audit.record("node", name=by, change="remove", site=name, project=project)

    def _written_by_hand(self) -> set[str]:
        return {site.id for site in load_fleet(self._fleet_path, self._drivers).sites}

    def _write(self, sites: Mapping[str, Mapping[str, Any]]) -> None:
        """Put the file in place in one step, once it is known to be good."""
        if not sites:
            self._path.unlink(missing_ok=True)
            return
        data = {"sites": list(sites.values())}
        text = "# Written by the API (/api/v1/nodes); do not edit.\n" + yaml.safe_dump(
            data, sort_keys=False, allow_unicode=True
        )
        parse_fleet(text, self._path, self._drivers)
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=self._path.parent, prefix=".nodes-", delete=False
        ) as file:
            temporary = Path(file.name)
            try:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
                load_fleet(self._fleet_path, self._drivers, nodes=temporary)
                temporary.chmod(0o640)
                temporary.replace(self._path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise


__all__ = ["FleetFileError", "NodesFile", "TakenError", "UnknownNodeError"]
