"""Evidence of a period: figures of a guarantee, the rows they rest on, and a signature over both.

A pack is one ZIP file of a fixed form: ``evidence.json`` (contract, rows with their hashes,
figures), ``evidence.pdf`` (the same for people), ``manifest.json`` (hashes of both, the public key)
and ``manifest.sig`` (Ed25519 over the manifest). Whoever has it can work out the figures again from
the rows, without the ledger.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from exporter.portfolio.contracts_file import SiteContract
from exporter.portfolio.ledger import UNDER_WAY_SECONDS, Ledger
from exporter.portfolio.ledger_rows import Row
from exporter.portfolio.ledger_tables import TABLES, ColumnType
from exporter.portfolio.site_report import site_report

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import (
        Ed25519PrivateKey,
        Ed25519PublicKey,
    )

FORMAT = "fleetscope-evidence/1"
DATA, DOCUMENT, MANIFEST, SIGNATURE = (
    *("evidence.json", "evidence.pdf", "manifest.json"),
    "manifest.sig",
)
MEMBERS = (DATA, DOCUMENT, MANIFEST, SIGNATURE)
LARGEST_PACK = 256 * 1024 * 1024
_OF_LEDGER = {"events": UNDER_WAY_SECONDS, "tickets": UNDER_WAY_SECONDS, "dispatch": 86_400.0}
"""Tables of the ledger that figures rest on, and how long before the period their rows count."""
_STAMP = (1980, 1, 1, 0, 0, 0)


class EvidenceError(Exception):
    """A pack that cannot be made or read; its text says why."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What came of a check: what is wrong, and whose signature it is.

    ``key`` is the fingerprint of the key that signed, ``trusted`` whether the caller named it.
    """

    problems: tuple[str, ...]
    key: str
    trusted: bool
    data: Mapping[str, Any] | None = None


def gathered(
    ledger: Ledger,
    site: SiteContract,
    zone: str,
    currency: str,
    period: tuple[float, float],
    days: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """The data of a pack.

    Parameters
    ----------
    ledger : Ledger
    site : SiteContract
    zone, currency : str
        Of the contracts.
    period : (float, float)
        Unix seconds.
    days : sequence of mapping
        Published rows ``plant_day`` of the period; empty where nothing is published.

    Raises
    ------
    LedgerError
    """
    start, end = period
    tables = {
        name: [
            _plain(row, name) for row in ledger.latest(TABLES[name], start - ahead, end, [site.id])
        ]
        for name, ahead in _OF_LEDGER.items()
    }
    tables["plant_day"] = [{k: v for k, v in row.items() if v is not None} for row in days]
    data: dict[str, Any] = {
        "format": FORMAT,
        "site": site.id,
        "start": start,
        "end": end,
        "zone": zone,
        "currency": currency,
        "contract": site.model_dump(mode="json"),
        "tables": {name: _hashed(rows) for name, rows in tables.items()},
    }
    data["figures"] = figures_of(data)
    return data


def figures_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """The figures, worked out from the rows of a pack alone.

    Raises
    ------
    EvidenceError
    """
    try:
        site = SiteContract.model_validate(data["contract"])
        start, end = float(data["start"]), float(data["end"])
        tables = {name: data["tables"][name]["rows"] for name in (*_OF_LEDGER, "plant_day")}
        with Ledger(Path(":memory:")) as ledger:
            for name in _OF_LEDGER:
                rows = [_row(row, name) for row in tables[name]]
                ledger.add(TABLES[name], rows, "pack", "", 0.0, 0)
            report = site_report(ledger, site, start, end)
        days = tables["plant_day"]
    except (ValidationError, KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise EvidenceError(f"the rows cannot be read: {type(error).__name__}") from error
    soh = [row["soh_percent"] for row in days if "soh_percent" in row]
    available, failures = report.availability, report.failures
    return {
        "availability_percent": _percent(available.fraction),
        "coverage_percent": _percent(available.coverage),
        "down_seconds": {c.value: round(s, 3) for c, s in available.seconds.items() if s},
        "failures": failures.failures,
        "restoration_seconds": _rounded(failures.restoration_s),
        "repair_seconds": _rounded(failures.repair_s),
        "between_failures_seconds": _rounded(failures.between_s),
        "guarantees": [
            {
                "name": one.terms.name,
                "target_percent": str(one.terms.target),
                "actual_percent": _percent(one.availability.fraction),
                "coverage_percent": _percent(one.availability.coverage),
                "excluded": sorted(category.value for category in one.terms.excluded),
                "excluded_seconds": round(one.availability.excluded, 3),
                "counted_seconds": round(one.availability.counted, 3),
                "met": one.verdict.met,
                "shortfall": _text(one.verdict.shortfall),
                "owed": _text(one.verdict.owed),
                "owed_before_cap": _text(one.verdict.owed_before_cap),
            }
            for one in report.guarantees
        ],
        "cycles": _sum(days, "cycles"),
        "cycle_budget": _sum(days, "cycle_budget"),
        "soh_first_percent": soh[0] if soh else None,
        "soh_last_percent": soh[-1] if soh else None,
        "counts": {name: len(rows) for name, rows in tables.items()},
    }


def packed(data: Mapping[str, Any], document: bytes, key: Ed25519PrivateKey) -> bytes:
    """The pack as one file."""
    body = _canonical(data)
    manifest = {
        "format": FORMAT,
        "files": {DATA: _sha256(body), DOCUMENT: _sha256(document)},
        "public_key": _raw(key.public_key()).hex(),
    }
    signed = _canonical(manifest)
    members = {
        DATA: body,
        DOCUMENT: document,
        MANIFEST: signed,
        SIGNATURE: key.sign(signed).hex().encode(),
    }
    return _zip(members)


def verified(content: bytes, trusted: Ed25519PublicKey | None) -> Verified:
    """Check a pack: its form, its signature, every hash, every row and every figure.

    Parameters
    ----------
    content : bytes
    trusted : Ed25519PublicKey or None
        The key that should have signed; None takes the one in the pack at its word.

    Raises
    ------
    EvidenceError
        It is no pack at all.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    members = _members(content)
    problems: list[str] = []
    if _zip(members) != content:
        problems.append("the file has bytes that no pack has")
    try:
        manifest = json.loads(members[MANIFEST])
        named = Ed25519PublicKey.from_public_bytes(bytes.fromhex(manifest["public_key"]))
        signature = bytes.fromhex(members[SIGNATURE].decode("ascii"))
        hashes = dict(manifest["files"])
    except (ValueError, KeyError, TypeError) as error:
        raise EvidenceError("the manifest or its signature cannot be read") from error
    if trusted is not None and _raw(trusted) != _raw(named):
        problems.append("another key has signed it")
    try:
        (trusted or named).verify(signature, members[MANIFEST])
    except InvalidSignature:
        problems.append("the signature is not that of the manifest")
    for name in (DATA, DOCUMENT):
        if hashes.get(name) != _sha256(members[name]):
            problems.append(f"{name} is not what was signed")
    try:
        data = json.loads(members[DATA])
        problems += _wrong_rows(data)
        if data["figures"] != json.loads(json.dumps(figures_of(data))):
            problems.append("the figures are not those of the rows")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        problems.append(f"{DATA} cannot be read: {type(error).__name__}")
        data = None
    except EvidenceError as error:
        problems.append(f"{DATA}: {error}")
    return Verified(tuple(problems), fingerprint(named), trusted is not None, data)


def fingerprint(key: Ed25519PublicKey) -> str:
    """The first half of the SHA-256 of a public key, in hexadecimal digits."""
    return _sha256(_raw(key))[:32]


def read_private_key(path: Path) -> Ed25519PrivateKey:
    """A key in PEM (PKCS 8), as ``openssl genpkey -algorithm ed25519`` makes it.

    Raises
    ------
    EvidenceError
        The content is never shown.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except OSError as error:
        raise EvidenceError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise EvidenceError(f"{path} holds no private key in PEM without a password") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise EvidenceError(f"{path}: expected a key of Ed25519")
    return key


def read_public_key(path: Path) -> Ed25519PublicKey:
    """A public key in PEM, as ``openssl pkey -pubout`` makes it.

    Raises
    ------
    EvidenceError
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise EvidenceError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise EvidenceError(f"{path} holds no public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise EvidenceError(f"{path}: expected a key of Ed25519")
    return key


def _wrong_rows(data: Mapping[str, Any]) -> Iterable[str]:
    for name, table in data["tables"].items():
        hashes = [_sha256(_canonical(row)) for row in table["rows"]]
        for number, (found, stated) in enumerate(zip(hashes, table["hashes"], strict=False), 1):
            if found != stated:
                yield f"{name}: row {number} is not what its hash says"
        if len(hashes) != len(table["hashes"]):
            yield f"{name}: {len(hashes)} rows and {len(table['hashes'])} hashes"
        if _sha256("".join(hashes).encode()) != table["sha256"]:
            yield f"{name}: the rows are not those that were hashed"


def _hashed(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    hashes = [_sha256(_canonical(row)) for row in rows]
    return {"sha256": _sha256("".join(hashes).encode()), "hashes": hashes, "rows": list(rows)}


def _plain(row: Row, table: str) -> dict[str, Any]:
    """A row of the ledger as JSON keeps it: decimals as text."""
    names = [column.name for column in TABLES[table].columns]
    values = {name: row[name] for name in names} | {"version": row["version"]}
    return {k: str(v) if isinstance(v, Decimal) else v for k, v in values.items()}


def _row(row: Mapping[str, Any], table: str) -> Row:
    found: Row = {}
    for column in TABLES[table].columns:
        value = row[column.name]
        is_number = column.type is ColumnType.NUMBER and value is not None
        found[column.name] = Decimal(value) if is_number else value
    return found


def _members(content: bytes) -> dict[str, bytes]:
    if len(content) > LARGEST_PACK:
        raise EvidenceError("larger than any pack")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            found = file.infolist()
            if [one.filename for one in found] != list(MEMBERS):
                raise EvidenceError(f"no pack: expected {', '.join(MEMBERS)}")
            if any(one.compress_type != zipfile.ZIP_STORED for one in found):
                raise EvidenceError("no pack: its parts are compressed")
            return {one.filename: file.read(one) for one in found}
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError) as error:
        raise EvidenceError(f"no pack, or a damaged one: {error}") from error


def _zip(members: Mapping[str, bytes]) -> bytes:
    """One form alone, so that any changed byte is seen."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as file:
        for name in MEMBERS:
            about = zipfile.ZipInfo(name, _STAMP)
            about.create_system = 3
            about.external_attr = 0o644 << 16
            file.writestr(about, members[name])
    return made.getvalue()


def _canonical(value: Any) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode("utf-8")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _raw(key: Ed25519PublicKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def _percent(share: float) -> float | None:
    return None if math.isnan(share) else round(100 * share, 6)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _text(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _sum(rows: Sequence[Mapping[str, Any]], name: str) -> float | None:
    known = [row[name] for row in rows if name in row]
    return round(math.fsum(known), 6) if known else None
