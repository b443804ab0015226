"""A signed pack: what it says is what the ledger says, and every change to it is found."""

from __future__ import annotations

import contextlib
import json
import random
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from exporter.cli.main import main as command
from exporter.deliver.report.evidence_document import evidence_html
from exporter.portfolio import evidence
from exporter.portfolio.contracts_file import load_contracts
from exporter.portfolio.ledger import Ledger
from exporter.portfolio.site_report import site_report
from simulator.cli import main
from tests.portfolio.test_losses import FILES, taken

START, END = 1772323200.0, 1774998000.0
"""March 2026 in London."""
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))
DAYS = [{"time": START, "site": "yorkshire", "cycles": 1.25, "soh_percent": 93.0, "wear": None}]


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("month")
    assert main(["portfolio", "--output", str(made), "--month", "2026-03", "--seed", "4"]) == 0
    taken(made, made / "books", FILES | {"tickets.csv": "tickets"})
    return made


@pytest.fixture(scope="module")
def data(month: Path) -> dict[str, Any]:
    terms = load_contracts(month / "contracts.yaml")
    site = next(site for site in terms.sites if site.id == "yorkshire")
    with Ledger(month / "books", read_only=True) as ledger:
        return evidence.gathered(ledger, site, terms.zone, "GBP", (START, END), DAYS)


@pytest.fixture(scope="module")
def pack(data: dict[str, Any]) -> bytes:
    html = evidence_html(data, evidence.fingerprint(KEY.public_key()))
    return evidence.packed(data, html.encode(), KEY)


def test_a_pack_says_what_the_ledger_says(month: Path, data: dict[str, Any], pack: bytes) -> None:
    terms = load_contracts(month / "contracts.yaml")
    site = next(site for site in terms.sites if site.id == "yorkshire")
    with Ledger(month / "books", read_only=True) as ledger:
        report = site_report(ledger, site, START, END)
    (guarantee,) = data["figures"]["guarantees"]
    assert guarantee["owed"] == str(report.owed)
    assert guarantee["owed"] != "0.00"
    assert data["figures"]["failures"] == report.failures.failures
    assert data["figures"]["cycles"] == 1.25
    found = evidence.verified(pack, KEY.public_key())
    assert (found.problems, found.trusted) == ((), True)
    html = evidence_html(data, "key")
    assert guarantee["owed"] in html
    for table in data["tables"].values():
        assert table["sha256"] in html


def test_every_changed_byte_is_found(pack: bytes) -> None:
    rng = random.Random(3)
    # All of the frame and the small parts, and some of the large ones.
    places = {*range(120), *range(len(pack) - 600, len(pack))}
    places |= {rng.randrange(len(pack)) for _ in range(60)}
    for place in sorted(places):
        changed = bytearray(pack)
        changed[place] ^= 1 << rng.randrange(8)
        try:
            found = evidence.verified(bytes(changed), KEY.public_key())
        except evidence.EvidenceError:
            continue
        assert found.problems, place
    for cut in (pack[:-1], pack + b"\0", pack[: len(pack) // 2], b""):
        with contextlib.suppress(evidence.EvidenceError):
            assert evidence.verified(cut, KEY.public_key()).problems


def signed_again(pack: bytes, change: Any, key: Ed25519PrivateKey) -> bytes:
    """The pack with other data, signed anew: what somebody with a key could make."""
    with zipfile.ZipFile(BytesIO(pack)) as file:
        changed = json.loads(file.read(evidence.DATA))
        document = file.read(evidence.DOCUMENT)
    change(changed)
    return evidence.packed(changed, document, key)


def owes_more(data: dict[str, Any]) -> None:
    data["figures"]["guarantees"][0]["owed"] = "60000.00"


def loses_a_row(data: dict[str, Any]) -> None:
    data["tables"]["events"]["rows"].pop()


def loses_a_row_and_its_hash(data: dict[str, Any]) -> None:
    data["tables"]["events"]["rows"].pop()
    data["tables"]["events"]["hashes"].pop()


def changes_a_row(data: dict[str, Any]) -> None:
    row = next(row for row in data["tables"]["events"]["rows"] if row["category"] == "forced")
    row["end"] -= 3600


def changes_the_terms(data: dict[str, Any]) -> None:
    data["contract"]["guarantees"][0]["target"] = "90"


@pytest.mark.parametrize(
    "change",
    [owes_more, loses_a_row, loses_a_row_and_its_hash, changes_a_row, changes_the_terms],
)
def test_a_changed_row_or_figure_is_found_whoever_signs(pack: bytes, change: Any) -> None:
    for key in (KEY, OTHER):
        assert evidence.verified(signed_again(pack, change, key), None).problems


def test_another_key_is_found(pack: bytes) -> None:
    other = signed_again(pack, lambda _: None, OTHER)
    assert evidence.verified(other, None).problems == ()
    assert not evidence.verified(other, None).trusted
    assert "another key has signed it" in evidence.verified(other, KEY.public_key()).problems


@pytest.mark.slow
def test_the_command_writes_and_checks(
    month: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("weasyprint", exc_type=OSError)
    pem = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    public = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "public.pem").write_bytes(public)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FLEETSCOPE_INFLUXDB_URL", raising=False)
    made = ["--site", "thames", "--period", "2026-03", "--books", str(month / "books")]
    made += ["--contracts", str(month / "contracts.yaml"), "--key", "key.pem"]

    def run(*arguments: str) -> int:
        monkeypatch.setattr("sys.argv", ["fleetscope", "evidence", *arguments])
        with pytest.raises(SystemExit) as ended:
            command()
        return int(ended.value.code or 0)

    assert run(*made, "--output", "pack.zip") == 0
    with zipfile.ZipFile("pack.zip") as file:
        assert file.read(evidence.DOCUMENT).startswith(b"%PDF")
    assert run("verify", "pack.zip", "--public-key", "public.pem") == 0
    assert run("verify", "pack.zip") == 3
    content = bytearray(Path("pack.zip").read_bytes())
    content[len(content) // 2] ^= 1
    Path("pack.zip").write_bytes(content)
    assert run("verify", "pack.zip", "--public-key", "public.pem") == 1
    assert "PRIVATE KEY" not in capsys.readouterr().err
    (tmp_path / "key.pem").write_text("no key")
    assert run(*made) == 1
