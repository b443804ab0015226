"""The servers of Debian that the local run needs: where they are, and how to get them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

POLICY = Path("/usr/sbin/policy-rc.d")


@dataclass(frozen=True)
class Server:
    """A server program: its executables by preference, and the Debian package that has it."""

    name: str
    executables: tuple[str, ...]
    package: str
    version_arguments: tuple[str, ...]
    version: str  # regular expression that the version's output must match
    optional: bool = False  # a run without it checks all the same


SERVERS = (
    Server("InfluxDB", ("influxd",), "influxdb", ("version",), r"InfluxDB v1\."),
    Server("Prometheus", ("prometheus",), "prometheus", ("--version",), r"version [23]\."),
    Server(
        "Alertmanager",
        ("prometheus-alertmanager", "alertmanager"),
        "prometheus-alertmanager",
        ("--version",),
        r"version 0\.",
    ),
    Server("Mosquitto", ("mosquitto",), "mosquitto", ("-h",), r"mosquitto version 2\.", True),
)


class InstallError(Exception):
    """The missing servers cannot be installed here; the message says why."""


def find(server: Server) -> Path | None:
    """The server's executable in a version that the local run can drive, None without one."""
    for name in server.executables:
        # Debian has some servers where the PATH of most users does not lead.
        path = shutil.which(name) or shutil.which(name, path="/usr/sbin")
        if path is None:
            continue
        printed = subprocess.run(
            [path, *server.version_arguments], capture_output=True, text=True, check=False
        )
        if re.search(server.version, printed.stdout + printed.stderr):
            return Path(path)
    return None


def find_all() -> dict[str, Path]:
    """The executables of the servers that are here, by server name."""
    return {server.name: path for server in SERVERS if (path := find(server)) is not None}


def find_grafana() -> tuple[Path, Path] | None:
    """Grafana's executable and home folder: out of GRAFANA_HOME, else by PATH; None without one."""
    homes = [Path(home)] if (home := os.environ.get("GRAFANA_HOME")) else []
    for name in ("grafana", "grafana-server"):
        for home_folder in homes:
            for candidate in (home_folder / "bin" / name, *home_folder.glob(f"bin/*/{name}")):
                if os.access(candidate, os.X_OK):
                    return candidate, home_folder
        if (found := shutil.which(name)) is not None:
            path = Path(found).resolve()
            for home_folder in (path.parents[1], Path("/usr/share/grafana")):
                if (home_folder / "conf" / "defaults.ini").is_file():
                    return path, home_folder
    return None


def _root_prefix() -> list[str] | None:
    if os.geteuid() == 0:
        return []
    if shutil.which("sudo") is None:
        return None
    # Without a terminal nobody could type a password.
    if os.isatty(0):
        return ["sudo"]
    works = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False)
    return ["sudo", "-n"] if works.returncode == 0 else None


def install(missing: list[Server], say: Callable[[str], None]) -> None:
    """Install Debian's packages of the missing servers, without starting the services they bring.

    Parameters
    ----------
    missing : list of Server
        What to install; nothing happens if it is empty.
    say : callable
        Told in sentences what is being done.

    Raises
    ------
    InstallError
        No apt-get, no way to become root, or apt-get failed.
    """
    if not missing:
        return
    packages = [server.package for server in missing]
    if shutil.which("apt-get") is None:
        raise InstallError("there is no apt-get here")
    prefix = _root_prefix()
    if prefix is None:
        raise InstallError("to install packages takes root or sudo")
    say(f"Installing Debian's {', '.join(packages)} with apt-get.")
    booted_by_systemd = Path("/run/systemd/system").is_dir()
    # In a container nothing may start by itself: the packages' services would take the ports.
    own_policy = not booted_by_systemd and os.geteuid() == 0 and not POLICY.exists()
    if own_policy:
        POLICY.write_text("#!/bin/sh\nexit 101\n", "ascii")
        POLICY.chmod(0o755)
    environment = ["env", "DEBIAN_FRONTEND=noninteractive"]
    if not booted_by_systemd:
        environment.append("RUNLEVEL=1")
    apt = [*prefix, *environment, "apt-get", "-q"]
    try:
        for arguments in (
            ["update"],
            ["install", "-y", "--no-install-recommends", *packages],
        ):
            done = subprocess.run(
                [*apt, *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                last = "\n".join(done.stdout.splitlines()[-5:])
                raise InstallError(f"apt-get {arguments[0]} failed:\n{last}")
    finally:
        if own_policy:
            POLICY.unlink()
    if booted_by_systemd:
        for package in packages:
            say(f"Debian enabled and started the service {package}; disabling it again.")
            subprocess.run([*prefix, "systemctl", "disable", "--now", package], check=False)


def ensure(say: Callable[[str], None]) -> dict[str, Path]:
    """Find the servers, installing those that are absent; see :func:`install`."""
    install([server for server in SERVERS if find(server) is None], say)
    return find_all()


def docker_answers() -> bool:
    """Whether a Docker engine and the compose plugin can be used here."""
    if shutil.which("docker") is None:
        return False
    return all(
        subprocess.run(["docker", *words], capture_output=True, timeout=20, check=False).returncode
        == 0
        for words in (("info",), ("compose", "version"))
    )
