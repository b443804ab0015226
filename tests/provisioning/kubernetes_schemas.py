"""Schemas for kubeconform: ``python -m tests.provisioning.kubernetes_schemas RENDERED FOLDER``.

kubeconform takes schemas that are whole by themselves. Those that ``kubernetes-validate`` brings as
data refer to one file of definitions, so each schema of a kind that is rendered is written with the
definitions that it reaches.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

KUBERNETES = "1.30"
LOCATION = "{{.ResourceKind}}{{.KindSuffix}}.json"
"""How kubeconform names a schema in a folder."""
_FOLDER = (
    Path(kubernetes_validate.__file__).parent
    / "kubernetes-json-schema"
    / f"v{KUBERNETES}.0-local-strict"
)
_DEFINITIONS = "/api/_definitions.json#/$defs/"
_WITHIN = "#/$defs/"


def write_schemas(documents: Iterable[dict[str, Any]], folder: Path) -> set[str]:
    """Write a schema for each kind of these documents that Kubernetes itself knows.

    Returns
    -------
    set of str
        The other kinds, which operators bring.
    """
    folder.mkdir(parents=True, exist_ok=True)
    definitions = json.loads((_FOLDER / "_definitions.json").read_text("utf-8"))["$defs"]
    others = set()
    for kind, version in {(d["kind"], d["apiVersion"]) for d in documents}:
        group, _, number = version.rpartition("/")
        parts = [kind.lower(), *([group.partition(".")[0]] if group else []), number]
        source = _FOLDER / f"{'-'.join(parts)}.json"
        if not source.exists():
            others.add(kind)
            continue
        schema = json.loads(source.read_text("utf-8"))
        reached = {name: definitions[name] for name in _reached(schema, definitions)}
        text = json.dumps({**schema, "$defs": reached}).replace(_DEFINITIONS, _WITHIN)
        (folder / source.name).write_text(text, "utf-8")
    return others


def _reached(schema: Any, definitions: dict[str, Any]) -> set[str]:
    """Names of all definitions that a schema refers to, and that those refer to."""
    found: set[str] = set()
    waiting = list(_named(schema))
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += _named(definitions[name])
    return found


def _named(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix(_DEFINITIONS).removeprefix(_WITHIN)
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _named(item)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="tests.provisioning.kubernetes_schemas")
    parser.add_argument("rendered", type=Path)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    documents = [d for d in yaml.safe_load_all(args.rendered.read_text("utf-8")) if d]
    print(",".join(sorted(write_schemas(documents, args.folder))))


if __name__ == "__main__":
    main()
