"""Debian's podman with a store of its own, and podman-compose on it.

The machine's own containers, networks and configuration stay as they are.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".fleetscope" / "containers"
# What is run, and Debian's package that has it.
PROGRAMS = {
    "podman": "podman",
    "runc": "runc",
    "debootstrap": "debootstrap",
    "iptables": "iptables",
    "/usr/lib/podman/netavark": "netavark",
    "/usr/lib/podman/aardvark-dns": "aardvark-dns",
    "catatonit": "catatonit",
}
_CONFIGURATION = """[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
init_path = "{init}"
[engine]
runtime = "runc"
[network]
network_backend = "netavark"
"""
# Mounted for the build and not part of the image.
_PIP_FILES = ("/etc/pip.conf", "/etc/ssl/certs")


def absent() -> str | None:
    """What keeps containers from running here, in words; None if they can run."""
    if os.geteuid() != 0:
        return "podman runs the containers as root only, and this is another user"
    packages = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if packages:
        return f"podman needs Debian's {', '.join(packages)}"
    done = subprocess.run([*Engine().command, "info"], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"podman does not work here: {done.stderr[-300:]}"


class Engine:
    """podman with its store in :data:`FOLDER`."""

    def __init__(self, folder: Path = FOLDER) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        configuration = folder / "containers.conf"
        configuration.write_text(
            _CONFIGURATION.format(init=shutil.which("catatonit") or ""), "utf-8"
        )
        self.command = [
            *("env", f"CONTAINERS_CONF={configuration}", "podman"),
            *("--root", str(folder / "store"), "--runroot", str(folder / "run")),
            *("--network-config-dir", str(folder / "networks")),
        ]
        # podman-compose calls one program.
        self.program = folder / "podman"
        self.program.write_text(f'#!/bin/sh\nexec {shlex.join(self.command)} "$@"\n', "utf-8")
        self.program.chmod(0o755)

    def run(self, *arguments: str, check: bool = True, **given: Any) -> str:
        """Standard output of one podman command.

        Raises
        ------
        AssertionError
            It failed and ``check`` is set.
        """
        done = subprocess.run(
            [*self.command, *arguments], capture_output=True, text=True, check=False, **given
        )
        said = f"{done.stdout[-3000:]}\n{done.stderr[-2000:]}"
        assert done.returncode == 0 or not check, f"podman {arguments}: {said}"
        return done.stdout

    def has_image(self, name: str) -> bool:
        """Whether an image of that name is in the store."""
        return subprocess.run([*self.command, "image", "exists", name], check=False).returncode == 0

    def build(
        self, context: Path, dockerfile: Path, tags: Sequence[str], pip: bool = False
    ) -> None:
        """Build an image; its layers stay in the store for the next build.

        With ``pip``, CONTAINERS_BUILD_OPTIONS are options of the build by which pip finds its
        index; without them the build reads this machine's pip.conf and authorities.
        """
        given: list[str] = []
        if pip and "CONTAINERS_BUILD_OPTIONS" in os.environ:
            given = shlex.split(os.environ["CONTAINERS_BUILD_OPTIONS"])
        elif pip and Path(_PIP_FILES[0]).exists():
            given = [f"--volume={path}:{path}:ro" for path in _PIP_FILES]
        named = [f"--tag={tag}" for tag in tags]
        self.run(
            *("build", "--network=host", "--format=docker", *given, *named),
            *("--file", str(dockerfile), str(context)),
        )


class Project:
    """One project of podman-compose.

    Parameters
    ----------
    engine : Engine
    name : str
        Prefix of its containers, networks and volumes.
    folder : Path
        Of its docker-compose.yml.
    override : Path
        Compose file laid over it.
    environment : mapping
        What .env would hold.
    """

    def __init__(
        self,
        engine: Engine,
        name: str,
        folder: Path,
        override: Path,
        environment: Mapping[str, str],
    ) -> None:
        self.engine = engine
        self.name = name
        self._folder = folder
        self._environment = {**os.environ, **environment}
        self._command = [
            *(str(Path(sys.executable).with_name("podman-compose")), "--in-pod", "false"),
            *("--podman-path", str(engine.program), "--project-name", name),
            *("--file", "docker-compose.yml", "--file", str(override)),
        ]

    def compose(self, *arguments: str, check: bool = True) -> str:
        """Standard output of one podman-compose command."""
        done = subprocess.run(
            [*self._command, *arguments],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=400,
        )
        assert done.returncode == 0 or not check, (
            f"podman-compose {arguments}:\n{done.stdout[-3000:]}\n{done.stderr[-5000:]}"
        )
        return done.stdout

    def container(self, service: str) -> str:
        """The name of a service's container."""
        return f"{self.name}_{service}_1"

    def inspect(self, service: str) -> dict[str, Any]:
        """What podman knows of a service's container."""
        found = json.loads(self.engine.run("inspect", self.container(service)))
        return dict(found[0])

    def execute(self, service: str, *command: str, check: bool = True) -> str:
        """Standard output of a command in a service's container."""
        return self.engine.run("exec", self.container(service), *command, check=check)

    def healthy(self, service: str) -> bool:
        """Run the health check of a service once; podman needs systemd to do so by itself."""
        done = subprocess.run(
            [*self.engine.command, "healthcheck", "run", self.container(service)],
            capture_output=True,
            check=False,
        )
        return done.returncode == 0

    def log(self, service: str) -> str:
        """What a service has printed."""
        done = subprocess.run(
            [*self.engine.command, "logs", self.container(service)],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout + done.stderr

    def down(self, *, volumes: bool) -> None:
        """Remove the containers and networks, and the volumes if wanted."""
        self.compose("down", "--timeout", "20", *(["--volumes"] if volumes else []), check=False)
