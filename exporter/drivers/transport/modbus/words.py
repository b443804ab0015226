"""Registers as numbers and text: types, word order, and bits that mean "not available". Pure.

Sources: Victron's register list, SunSpec's information model specification, and the public
interface definitions of Huawei, SMA and Sungrow for the values that stand for no value.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class WordType(StrEnum):
    """What one or several registers hold."""

    U16 = "u16"
    I16 = "i16"
    U32 = "u32"
    I32 = "i32"
    U64 = "u64"
    I64 = "i64"
    F32 = "f32"
    F64 = "f64"


class WordOrder(StrEnum):
    """Which register of a longer value comes first: the one of highest or of lowest weight."""

    BIG = "big"
    LITTLE = "little"


@dataclass(frozen=True, slots=True)
class _Form:
    registers: int
    format: str
    missing: frozenset[int] = frozenset()


_FORMS: dict[WordType, _Form] = {
    WordType.U16: _Form(1, ">H", frozenset({0xFFFF})),
    WordType.I16: _Form(1, ">h", frozenset({-0x8000, 0x7FFF})),
    WordType.U32: _Form(2, ">I", frozenset({0xFFFFFFFF, 0x7FFFFFFF})),
    WordType.I32: _Form(2, ">i", frozenset({-0x80000000, 0x7FFFFFFF})),
    WordType.U64: _Form(4, ">Q", frozenset({2**64 - 1, 2**63 - 1})),
    WordType.I64: _Form(4, ">q", frozenset({-(2**63), 2**63 - 1})),
    WordType.F32: _Form(2, ">f"),
    WordType.F64: _Form(4, ">d"),
}


def registers_of(kind: WordType) -> int:
    """How many registers a type takes, 1 to 4."""
    return _FORMS[kind].registers


def decode(
    words: Sequence[int],
    kind: WordType,
    order: WordOrder = WordOrder.BIG,
    missing: frozenset[int] | None = None,
) -> float:
    """Registers as a number, without any scale.

    Parameters
    ----------
    words : sequence of int
        As many registers as the type takes, each from 0 to 65535.
    kind : WordType
    order : WordOrder
    missing : frozenset of int or None
        Values that mean "not available"; None for the usual ones of the type.

    Returns
    -------
    float
        NaN where the bits mean "not available"; a floating point type may also give infinity.
    """
    form = _FORMS[kind]
    ordered = words if order is WordOrder.BIG else tuple(reversed(words))
    packed = struct.pack(f">{form.registers}H", *ordered)
    value = struct.unpack(form.format, packed)[0]
    return math.nan if value in (form.missing if missing is None else missing) else float(value)


def encode(value: float, kind: WordType, order: WordOrder = WordOrder.BIG) -> tuple[int, ...]:
    """A number as registers, the reverse of :func:`decode`.

    Raises
    ------
    ValueError
        If the type cannot hold it, or would mean "not available" by it.
    """
    form = _FORMS[kind]
    given = value if kind in (WordType.F32, WordType.F64) else round(value)
    try:
        packed = struct.pack(form.format, given)
    except (struct.error, OverflowError) as error:
        raise ValueError(f"{value:g} is outside {kind}") from error
    if given in form.missing or struct.unpack(form.format, packed)[0] in form.missing:
        raise ValueError(f"{value:g} means no value in {kind}")
    words = struct.unpack(f">{form.registers}H", packed)
    return words if order is WordOrder.BIG else words[::-1]


_POWERS_OF_TEN = range(-10, 11)


def scale_factor(word: int) -> int | None:
    """The power of ten in a register, -10 to 10; None for anything else, which is no such power."""
    power = word - 0x10000 if word & 0x8000 else word
    return power if power in _POWERS_OF_TEN else None


def scaled(value: float, power: int) -> float:
    """A value times a power of ten."""
    # Dividing by a power of ten rounds right, where multiplying by its inverse does not.
    return value * 10.0**power if power >= 0 else value / 10.0**-power


def decode_text(words: Sequence[int]) -> str:
    """Registers as text of two characters each, without what pads it."""
    packed = struct.pack(f">{len(words)}H", *words)
    text = packed.split(b"\0", 1)[0].decode("utf-8", "replace")
    return "".join(c for c in text if c.isprintable()).strip()
