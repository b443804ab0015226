"""``make digests``: pin the images of docker-compose.yml by the digests that registries hold now.

Writes ``docker-compose.digests.yml``, to be laid over docker-compose.yml. A digest is what the
registry answers for the version that stands in the file; it writes nothing unless every image has
one. Source of the protocol: https://distribution.github.io/distribution/spec/api/.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from exporter.model.http import HttpClient, Reply, RequestError

ROOT = Path(__file__).parents[1]
FILE = "docker-compose.digests.yml"
USUAL_REGISTRY = "registry-1.docker.io"
SECONDS = 30.0
# An index names the image of each platform; its digest holds on all of them.
_ACCEPTED = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}\Z")


class DigestError(Exception):
    """A registry gives no digest; the message says why."""


def split(image: str) -> tuple[str, str, str]:
    """Registry, repository and tag of an image's name."""
    name, _, tag = image.rpartition(":")
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first, rest, tag
    return USUAL_REGISTRY, name if slash else f"library/{name}", tag


def digest(image: str, scheme: str = "https") -> str:
    """The digest that the registry holds for an image's tag.

    Parameters
    ----------
    image : str
        Such as ``prom/prometheus:v3.5.0``.
    scheme : str

    Raises
    ------
    DigestError
    """
    registry, repository, tag = split(image)
    address = f"{scheme}://{registry}/v2/{repository}/manifests/{tag}"
    client = HttpClient({"Accept": _ACCEPTED})
    try:
        reply = client.request("HEAD", address, seconds=SECONDS)
        if reply.status == 401:
            sign_in = {"Authorization": f"Bearer {_token(client, reply)}"}
            reply = client.request("HEAD", address, seconds=SECONDS, headers=sign_in)
    except RequestError as error:
        raise DigestError(f"{image}: {error}") from error
    finally:
        client.close()
    found = reply.headers.get("docker-content-digest", "")
    if reply.status != 200 or not _DIGEST.match(found):
        raise DigestError(f"{image}: {registry} answered {reply.status} without a digest")
    return found


def _token(client: HttpClient, refusal: Reply) -> str:
    """A token for anybody, from where the registry's refusal says."""
    asked = dict(re.findall(r'(\w+)="([^"]*)"', refusal.headers.get("www-authenticate", "")))
    realm = asked.pop("realm", "")
    if urlsplit(realm).scheme not in ("http", "https"):
        raise DigestError("the registry asks for a sign-in and does not say where")
    reply = client.request("GET", realm, seconds=SECONDS, params=asked)
    try:
        answer = json.loads(reply.body)
        return str(answer.get("token") or answer["access_token"])
    except (ValueError, LookupError, AttributeError) as error:
        raise DigestError(f"{realm} answered {reply.status} without a token") from error


def pinned(folder: Path, scheme: str = "https") -> str:
    """The text of the file that pins every image of others in a folder's docker-compose.yml.

    Raises
    ------
    DigestError
        One of them has no digest.
    """
    services = yaml.safe_load((folder / "docker-compose.yml").read_text("utf-8"))["services"]
    images = {
        name: service["image"] for name, service in services.items() if "build" not in service
    }
    known = {image: digest(image, scheme) for image in sorted(set(images.values()))}
    made = {name: {"image": f"{image}@{known[image]}"} for name, image in images.items()}
    head = (
        "# Written by `make digests`; COMPOSE_FILE=docker-compose.yml:docker-compose.digests.yml\n"
    )
    return head + yaml.safe_dump({"services": made}, sort_keys=False)


def main() -> int:
    """Write the file; returns the exit code."""
    try:
        text = pinned(ROOT)
    except DigestError as error:
        print(f"nothing is pinned: {error}", file=sys.stderr)
        return 1
    (ROOT / FILE).write_text(text, "utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
