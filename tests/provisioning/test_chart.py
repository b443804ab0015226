"""The Helm chart: what it renders is what runs without Kubernetes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.provisioning.kubernetes_schemas import KUBERNETES, LOCATION, write_schemas

ROOT = Path(__file__).parents[2]
CHART = ROOT / "deploy" / "helm" / "fleetscope"
HELM = os.environ.get("HELM_BIN") or shutil.which("helm")
KUBECONFORM = os.environ.get("KUBECONFORM_BIN") or shutil.which("kubeconform")

pytestmark = pytest.mark.skipif(HELM is None, reason="helm is not installed")


def rendered(*values: str) -> list[dict[str, Any]]:
    settings = [word for value in values for word in ("--set", value)]
    command = [str(HELM), "template", "fleetscope", str(CHART), "--kube-version", "1.30.0"]
    done = subprocess.run([*command, *settings], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def of_kind(documents: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [document for document in documents if document["kind"] == kind]


def test_helm_finds_nothing_to_complain_about() -> None:
    command = [str(HELM), "lint", "--strict", str(CHART)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# Their schemas are not Kubernetes's own; promtool checks the rules.
OF_OPERATORS = ("ServiceMonitor", "PrometheusRule")


@pytest.mark.parametrize(
    "values",
    [
        ("shards=4", "influxdb.url=http://influxdb:8086", "influxdb.token=example"),
        ("shardTokenSecret=s", "siteSecretsSecret=s", "webConfigSecret=w", "shards=2"),
        ("influxdb.url=http://influxdb:8086", "influxdb.projectsSecret=p"),
    ],
)
def test_what_is_rendered_is_what_kubernetes_takes(values: tuple[str, ...]) -> None:
    documents = [d for d in rendered(*values) if d["kind"] not in OF_OPERATORS]
    assert {d["kind"] for d in documents} >= {"StatefulSet", "Service", "ConfigMap"}
    for document in documents:
        kubernetes_validate.validate(document, KUBERNETES, strict=True)
    wrong = {**documents[0], "spec": {"replicaz": 1}, "kind": "StatefulSet"}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**wrong, "apiVersion": "apps/v1"}, KUBERNETES, strict=True)


@pytest.mark.skipif(KUBECONFORM is None, reason="kubeconform is not installed")
def test_kubeconform_takes_what_is_rendered_and_no_unknown_field(tmp_path: Path) -> None:
    documents = rendered("shards=4", "influxdb.url=http://influxdb:8086", "influxdb.token=example")
    assert write_schemas(documents, tmp_path) == set(OF_OPERATORS)
    (statefulset,) = of_kind(documents, "StatefulSet")
    wrong = {**statefulset, "spec": {**statefulset["spec"], "replicaz": 4}}
    command = [str(KUBECONFORM), "-strict", "-skip", ",".join(OF_OPERATORS)]
    command += ["-schema-location", f"{tmp_path}/{LOCATION}"]
    cases: list[tuple[list[dict[str, Any]], int]] = [(documents, 0), ([wrong], 1)]
    for checked, code in cases:
        text = "\n---\n".join(json.dumps(document) for document in checked)
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
    assert "replicaz" in done.stdout


def test_each_pod_polls_its_own_shard() -> None:
    (found,) = of_kind(rendered("shards=4"), "StatefulSet")
    (container,) = found["spec"]["template"]["spec"]["containers"]
    env = {entry["name"]: entry for entry in container["env"]}
    assert found["spec"]["replicas"] == 4
    assert env["FLEETSCOPE_SHARD"]["value"] == "$(SHARD_INDEX)/4"
    names = list(env)
    # A variable can only use those before it.
    assert names.index("SHARD_INDEX") < names.index("FLEETSCOPE_SHARD")
    assert names.index("POD_IP") < names.index("FLEETSCOPE_ALLOWED_HOSTS")


def test_shards_know_each_other_by_the_names_of_their_pods() -> None:
    (found,) = of_kind(rendered("shards=3", "shardTokenSecret=s"), "StatefulSet")
    (container,) = found["spec"]["template"]["spec"]["containers"]
    env = {entry["name"]: entry for entry in container["env"]}
    urls = env["FLEETSCOPE_SHARD_URLS"]["value"].split(",")
    service = found["spec"]["serviceName"]
    pods = [f"{found['metadata']['name']}-{n}" for n in range(3)]
    assert urls == [f"http://{pod}.{service}:9797" for pod in pods]
    # The server answers to the name that the others ask for.
    assert f"$(POD_NAME).{service}" in env["FLEETSCOPE_ALLOWED_HOSTS"]["value"].split(",")
    assert env["FLEETSCOPE_SHARD_TOKEN"]["valueFrom"]["secretKeyRef"]["name"] == "s"


def test_settings_of_the_chart_are_settings_of_the_program() -> None:
    every = ("influxdb.url=http://i", "influxdb.token=a", "prometheusUrl=http://p")
    every += ("siteSecretsSecret=s", "webConfigSecret=w", "influxdb.projectsSecret=p")
    (found,) = of_kind(rendered(*every), "StatefulSet")
    (container,) = found["spec"]["template"]["spec"]["containers"]
    known = (ROOT / "docs" / "settings.md").read_text("utf-8")
    named = [e["name"] for e in container["env"] if e["name"].startswith("FLEETSCOPE_")]
    assert len(named) >= 9
    assert [name for name in named if f"`{name}`" not in known] == []


def test_databases_of_projects_are_named_by_a_secret() -> None:
    (found,) = of_kind(rendered("influxdb.projectsSecret=mine"), "StatefulSet")
    pod = found["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    env = {entry["name"]: entry.get("value") for entry in container["env"]}
    folder, _, file = str(env["FLEETSCOPE_INFLUXDB_PROJECTS"]).rpartition("/")
    assert file == "projects.yaml"
    (name,) = (m["name"] for m in container["volumeMounts"] if m["mountPath"] == folder)
    (secret,) = (v["secret"] for v in pod["volumes"] if v["name"] == name)
    assert secret["secretName"] == "mine"
    mounted = {m["name"] for m in container["volumeMounts"]}
    assert {v["name"] for v in pod["volumes"]} <= mounted | {"queue"}


def test_rules_and_dashboards_are_those_of_the_repository() -> None:
    documents = rendered()
    rules = {d["metadata"]["name"]: d["spec"] for d in of_kind(documents, "PrometheusRule")}
    for path in (ROOT / "provisioning" / "prometheus" / "rules").glob("*.yml"):
        assert rules[f"fleetscope-{path.stem}"] == yaml.safe_load(path.read_text("utf-8"))
    maps = {d["metadata"]["name"]: d for d in of_kind(documents, "ConfigMap")}
    boards = list((ROOT / "grafana" / "dashboards").rglob("*.json"))
    assert len(boards) >= 10
    for path in boards:
        found = maps[f"fleetscope-{path.stem.removeprefix('fleetscope-')}"]
        assert json.loads(found["data"][path.name]) == json.loads(path.read_text("utf-8"))
        assert found["metadata"]["annotations"]["grafana_folder"] == path.parent.name


def test_no_secret_stands_in_the_pod() -> None:
    documents = rendered("influxdb.url=http://i", "influxdb.token=very-secret")
    (secret,) = of_kind(documents, "Secret")
    assert secret["stringData"] == {"token": "very-secret"}
    assert "very-secret" not in json.dumps([d for d in documents if d is not secret])
    assert (
        of_kind(rendered("influxdb.url=http://i", "influxdb.existingSecret=mine"), "Secret") == []
    )
