"""Digests of images, asked of a real registry."""

from __future__ import annotations

import hashlib
import json
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from provisioning.digests import DigestError, digest, pinned, split
from provisioning.local.ports import Ports
from tests.server_process import server_process

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("influxdb:2.8.0", ("registry-1.docker.io", "library/influxdb", "2.8.0")),
        ("prom/prometheus:v3.5.0", ("registry-1.docker.io", "prom/prometheus", "v3.5.0")),
        ("localhost:5000/a/b:1", ("localhost:5000", "a/b", "1")),
        ("quay.io/a/b:1", ("quay.io", "a/b", "1")),
    ],
)
def test_a_name_has_a_registry_a_repository_and_a_tag(
    image: str, parts: tuple[str, str, str]
) -> None:
    assert split(image) == parts


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[str]:
    """Debian's registry with one image ``a/b:1``."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not installed (Debian: apt-get install docker-registry)")
    place = f"127.0.0.1:{Ports(usual=False).pick(0)}"
    settings = {
        "version": 0.1,
        "http": {"addr": place},
        "storage": {"filesystem": {"rootdirectory": str(tmp_path / "registry")}},
    }
    (tmp_path / "registry.yml").write_text(yaml.safe_dump(settings), "utf-8")
    arguments = [program, "serve", "registry.yml"]
    with server_process(arguments, f"http://{place}/v2/", tmp_path):
        push(place)
        yield place


def push(place: str) -> None:
    config = b"{}"
    name = f"sha256:{hashlib.sha256(config).hexdigest()}"
    started = request(f"http://{place}/v2/a/b/blobs/uploads/", "POST", b"")
    address = started.headers["Location"]
    request(f"{address}&digest={name}", "PUT", config, {"Content-Type": "application/octet-stream"})
    request(f"http://{place}/v2/a/b/manifests/1", "PUT", manifest(), {"Content-Type": MANIFEST})


def manifest() -> bytes:
    config = {
        "mediaType": "application/vnd.oci.image.config.v1+json",
        "digest": f"sha256:{hashlib.sha256(b'{}').hexdigest()}",
        "size": 2,
    }
    return json.dumps(
        {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []}
    ).encode()


def request(
    url: str, method: str, body: bytes, headers: dict[str, str] | None = None
) -> urllib.request.addinfourl:
    made = urllib.request.Request(url, body, headers or {}, method=method)
    reply: urllib.request.addinfourl = urllib.request.urlopen(made, timeout=30)
    reply.close()
    return reply


@pytest.mark.stack
def test_the_digest_is_that_of_the_manifest(registry: str, tmp_path: Path) -> None:
    wanted = f"sha256:{hashlib.sha256(manifest()).hexdigest()}"
    image = f"{registry}/a/b:1"
    assert digest(image, scheme="http") == wanted
    services = {"a": {"image": image}, "own": {"image": "own:1", "build": "."}}
    (tmp_path / "docker-compose.yml").write_text(yaml.safe_dump({"services": services}), "utf-8")
    text = pinned(tmp_path, scheme="http")
    assert yaml.safe_load(text) == {"services": {"a": {"image": f"{image}@{wanted}"}}}


@pytest.mark.stack
def test_an_image_that_the_registry_does_not_have_is_named(registry: str) -> None:
    with pytest.raises(DigestError, match=r"a/b:2: .* answered 404"):
        digest(f"{registry}/a/b:2", scheme="http")


def test_a_registry_that_cannot_be_reached_is_named() -> None:
    with pytest.raises(DigestError, match=r"127\.0\.0\.1:9/a/b:1"):
        digest("127.0.0.1:9/a/b:1", scheme="http")
