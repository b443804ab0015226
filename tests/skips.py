"""What the tests that were skipped would have needed, in one line at the end of a run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

# What a test needs, how its reason for skipping names it, and how to provide it.
NEEDS = (
    ("Grafana", r"\bGrafana\b", "GRAFANA_HOME or PATH"),
    ("InfluxDB 2", r"\bINFLUXDB2_BIN\b", "INFLUXDB2_BIN"),
    ("Chromium", r"\bChromium\b|\bplaywright\b|\baxe_playwright", "apt-get install chromium"),
    (
        "Debian's servers",
        r"`?make servers`?|\bpromtool\b|\binfluxd\b|^\S*\s?(?:mosquitto|prometheus) is not",
        "make servers",
    ),
    ("VictoriaMetrics", r"\bvictoria-metrics\b", "apt-get install victoria-metrics"),
    ("root", r"\broot\b|\bmount", "run as root"),
    ("docker compose", r"\bdocker compose\b", "a docker compose in PATH"),
    ("systemd", r"\bsystemd", "apt-get install systemd"),
    ("strace", r"\bstrace\b", "apt-get install strace"),
    ("Helm", r"\bhelm\b|\bkubeconform\b", "helm and kubeconform in PATH"),
    ("Keycloak", r"\bKeycloak\b", "KEYCLOAK_HOME, and java in PATH"),
    ("podman", r"\bpodman\b", "root and Debian's podman"),
    ("a registry", r"\bdocker-registry\b", "apt-get install docker-registry"),
    ("recordings of devices", r"\bcaptures\b|\brecord", "a folder shared/ beside the checkout"),
    ("prom-label-proxy", r"\bnot in PATH\b", "prom-label-proxy and its peers in PATH"),
    ("bash", r"\bbash\b", "bash, and fleetscope installed beside Python"),
    ("IPv6", r"\bIPv6\b", "an IPv6 loopback address"),
    ("Pango", r"\bPango\b", "Debian's libpangoft2-1.0-0"),
)


def summary(reasons: Iterable[str]) -> str | None:
    """One sentence about the skipped tests; None if there is none.

    Parameters
    ----------
    reasons : iterable of str
        Why each skipped test was skipped.
    """
    counts: Counter[str] = Counter()
    for reason in reasons:
        need = next(
            (f"{name} ({how})" for name, named, how in NEEDS if re.search(named, reason)),
            "other reasons (named above)",
        )
        counts[need] += 1
    if not counts:
        return None
    listed = ", ".join(f"{times} for {need}" for need, times in counts.most_common())
    total = counts.total()
    return f"NOT a full run: {total} test{'s' if total > 1 else ''} skipped: {listed}"
