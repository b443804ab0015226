"""The images that docker-compose.yml asks for: ours built, those of others as stand-ins."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import yaml

from provisioning.local.servers import find_grafana
from tests.containers.engine import FOLDER, Engine

_SOURCES = Path(__file__).parent / "images"
_BASE = "local/debian:bookworm"
_RELEASE = "bookworm"
_SERVERS = "local/servers:bookworm"


def influxdb2() -> Path | None:
    """InfluxDB 2, which Debian does not have."""
    named = os.environ.get("INFLUXDB2_BIN")
    return Path(named) if named else None


def named_images(folder: Path) -> set[str]:
    """Images of others that a checkout's docker-compose.yml names, and the base of its own."""
    compose = yaml.safe_load((folder / "docker-compose.yml").read_text("utf-8"))
    images = {service["image"] for service in compose["services"].values()}
    dockerfile = (folder / "exporter" / "Dockerfile").read_text("utf-8")
    bases = {line.split()[1] for line in dockerfile.splitlines() if line.startswith("FROM ")}
    return {name for name in images | bases if not name.startswith("fleetscope:")}


def full_name(image: str) -> str:
    """The name with its registry."""
    return f"docker.io/{image if '/' in image else f'library/{image}'}"


def make_stand_ins(engine: Engine, folder: Path) -> set[str]:
    """Make the images of others that a checkout asks for; the repositories that were left out."""
    _make_base(engine)
    engine.build(_SOURCES, _SOURCES / "debian.Dockerfile", [_SERVERS])
    left_out = set()
    for image in sorted(named_images(folder)):
        repository = image.partition(":")[0]
        if repository == "python":
            engine.run("tag", _SERVERS, full_name(image))
        elif repository == "influxdb":
            _build_influxdb(engine, full_name(image))
        elif repository != "grafana/grafana":
            name = repository.rpartition("/")[2]
            engine.build(_SOURCES, _SOURCES / f"{name}.Dockerfile", [full_name(image)])
        elif (found := find_grafana()) is None:
            left_out.add(repository)
        elif not engine.has_image(full_name(image)):
            engine.build(found[1], _SOURCES / "grafana.Dockerfile", [full_name(image)])
    return left_out


def _build_influxdb(engine: Engine, tag: str) -> None:
    with tempfile.TemporaryDirectory(dir=FOLDER) as name:
        context = Path(name)
        for source in ("influx", "influxdb-entrypoint.sh"):
            shutil.copy(_SOURCES / source, context)
        servers = context / "servers"
        servers.mkdir()
        (servers / "README").write_text("Programs that Debian does not have.\n", "utf-8")
        if (program := influxdb2()) is not None:
            shutil.copy(program, servers / "influxd")
        engine.build(context, _SOURCES / "influxdb.Dockerfile", [tag])


def _make_base(engine: Engine) -> None:
    """Debian's own minimal system, by debootstrap."""
    if engine.has_image(_BASE):
        return
    with tempfile.TemporaryDirectory(dir=FOLDER) as name:
        subprocess.run(
            ["debootstrap", "--variant=minbase", _RELEASE, name], check=True, capture_output=True
        )
        packing = ["tar", "-C", name, "--exclude=./var/cache/apt/archives/*.deb", "-c", "."]
        with subprocess.Popen(packing, stdout=subprocess.PIPE) as packed:
            engine.run("import", "-", _BASE, stdin=packed.stdout)
        assert packed.returncode == 0


def build_own(engine: Engine, folder: Path, tag: str) -> None:
    """Build our image from a checkout."""
    engine.build(
        folder, folder / "exporter" / "Dockerfile", [f"localhost/fleetscope:{tag}"], pip=True
    )
