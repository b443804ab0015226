"""The text of a fleet file as data, with the place of every key and value. YAML or JSON."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Where = tuple[str | int, ...]
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_JSON_COMMENT = re.compile(r"^[ \t]*//.*$", re.MULTILINE)
_JSON_BLANK = re.compile(r"[ \t\r\n]*")
_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_JSON_ATOM = re.compile(r"[^\s,\[\]{}]+")
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9_]*)(\.[0-9_]*)?([eE][-+]?[0-9]+)?\Z|[-+]?\.[0-9]+\Z")
_YAML_TYPE = "tag:yaml.org,2002:"
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_NOT_FINITE = {".inf": math.inf, "+.inf": math.inf, "-.inf": -math.inf, ".nan": math.nan}
# A fleet file is five deep; far deeper ones would exhaust the parsers' stack.
_DEEPEST = 50
# So many levels in one line, or by so many blanks, are no fleet file, and could exhaust the stack
# of the parser, which is not Python's.
_DEEP_BLOCK = re.compile(rf"(?:[-?:][ \t]+){{{_DEEPEST}}}| {{500}}")
MOST_SHOWN = 500
_LONGEST_SHOWN = 80
_LONGEST_INTEGER = 18


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One mistake: where (line and column from 1, 0 where unknown), which key, and what of it."""

    line: int
    column: int
    key: str
    message: str

    def __str__(self) -> str:
        place = f"line {self.line}, column {self.column}: " if self.line else ""
        key = f"{self.key}: " if self.key else ""
        return f"{place}{key}{self.message}"


class FleetFileError(Exception):
    """A fleet file that cannot be used.

    Attributes
    ----------
    path : Path
    mistakes : list of Mistake
        All of them, in the order of the file.
    """

    def __init__(self, path: Path, mistakes: list[Mistake]) -> None:
        self.path = path
        self.mistakes = sorted(set(mistakes))
        count = len(self.mistakes)
        shown = [f"  {mistake}" for mistake in self.mistakes[:MOST_SHOWN]]
        if count > MOST_SHOWN:
            shown.append(f"  and {count - MOST_SHOWN} more")
        super().__init__(f"{path}: {count} mistake{'s' if count != 1 else ''}\n" + "\n".join(shown))


def shown_text(text: str) -> str:
    """Text as it may be printed: short, and without characters that act on a terminal."""
    text = text[: _LONGEST_SHOWN + 1]
    if len(text) > _LONGEST_SHOWN:
        text = text[: _LONGEST_SHOWN - 3] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def dotted(where: Where) -> str:
    """A place in the data as people write it: ``sites[0].contact.name``."""
    parts = ""
    for part in where:
        if isinstance(part, int):
            parts += f"[{part}]"
        else:
            name = shown_text(part) if part else '""'
            parts += f".{name}" if parts else name
    return parts


class FleetDocument:
    """The parsed text, the place of every key and value, and the mistakes of its form.

    Of a key that is given twice, the first one counts. Whatever cannot be data at all (a key that
    is not text, an alias, a tag) is left out and reported, so that the rest is still checked;
    ``left_out`` has the places of such values.

    Raises
    ------
    FleetFileError
        For text that is neither YAML nor JSON.
    """

    def __init__(self, text: str, path: Path) -> None:
        self._path = path
        self._places: dict[Where, tuple[int, int]] = {}
        self._plain: dict[Where, str] = {}
        self._built: set[int] = set()
        # Of JSON places are looked for once somebody asks, which takes longer than to read it.
        self._unscanned = ""
        self.mistakes: list[Mistake] = []
        self.left_out: set[Where] = set()
        if text.lstrip()[:1] in ("{", "[", "/"):
            self.data = self._json_or_flow(text)
        else:
            self.data = self._yaml(text)

    def mistake(self, where: Where, message: str) -> Mistake:
        """A mistake at the nearest known place of ``where``."""
        self._find_places()
        known = where
        while known and known not in self._places:
            known = known[:-1]
        line, column = self._places.get(known, (1, 1))
        return Mistake(line, column, dotted(where), message)

    def _leave_out(self, where: Where, message: str) -> None:
        self.left_out.add(where)
        self.mistakes.append(self.mistake(where, message))

    def as_written(self, where: Where) -> str | None:
        """An unquoted YAML value as the file writes it: ``no``, where the data has false."""
        return self._plain.get(where)

    def _refusal(self, message: str, line: int = 0, column: int = 0) -> FleetFileError:
        return FleetFileError(self._path, [Mistake(line, column, "", message)])

    def _yaml(self, text: str) -> Any:
        if _nesting(text) > _DEEPEST or _DEEP_BLOCK.search(text):
            raise self._refusal(f"is nested more than {_DEEPEST} deep")
        try:
            node = _Loader(text).get_single_node()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
            message = f"not YAML: {error.problem or error.context}"
            if mark and _tab_indents(text, mark.line):
                message = "not YAML: the line is indented with a tab; indent with spaces"
            raise self._refusal(message, line, column) from error
        except yaml.reader.ReaderError as error:
            before = text[: error.position]
            line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
            message = "not YAML: a control character, which text may not hold"
            raise self._refusal(message, line, column) from error
        except (yaml.YAMLError, RecursionError) as error:
            raise self._refusal(f"not YAML: {str(error).splitlines()[0]}") from error
        if node is None:
            raise self._refusal("is empty; expected the key sites")
        return self._build(node, ())

    def _build(self, node: yaml.Node, where: Where) -> Any:
        mark = node.start_mark
        self._places.setdefault(where, (mark.line + 1, mark.column + 1))
        if id(node) in self._built:
            # An alias can stand for a copy of a copy of a copy: a small file, a huge fleet.
            message = "YAML aliases (*name) are not supported; write the value out"
            self._leave_out(where, message)
            return None
        self._built.add(id(node))
        if len(where) > _DEEPEST:
            self._leave_out(where, f"is nested more than {_DEEPEST} deep")
            return None
        kind = node.tag.removeprefix(_YAML_TYPE)
        if isinstance(node, yaml.MappingNode) and kind == "map":
            return self._build_mapping(node, where)
        if isinstance(node, yaml.SequenceNode) and kind == "seq":
            return [self._build(value, (*where, i)) for i, value in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode):
            quoted = bool(node.style)
            if kind in ("null", "bool", "int", "float", "str", "timestamp", "value", "merge"):
                if not quoted:
                    self._plain[where] = node.value
                return node.value if quoted else _plain_value(node.value, kind)
        message = "YAML tags (!name) are not supported; write the plain value"
        self._leave_out(where, message)
        return None

    def _build_mapping(self, node: yaml.MappingNode, where: Where) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for key, value in node.value:
            place = (key.start_mark.line + 1, key.start_mark.column + 1)
            if not isinstance(key, yaml.ScalarNode):
                message = "has a list or mapping as a key; expected text"
                self.mistakes.append(Mistake(*place, dotted(where), message))
            elif key.tag == _YAML_TYPE + "merge":
                message = "YAML merge keys (<<) are not supported; write the keys out"
                self.mistakes.append(Mistake(*place, dotted((*where, key.value)), message))
            elif self._is_first((*where, key.value), place):
                data[key.value] = self._build(value, (*where, key.value))
        return data

    def _is_first(self, where: Where, place: tuple[int, int]) -> bool:
        """Note the place of a key, unless the mapping has it already."""
        first = self._places.get(where)
        if first is None:
            self._places[where] = place
            return True
        message = f"is given twice; the first is in line {first[0]}, column {first[1]}"
        self.mistakes.append(Mistake(*place, dotted(where), message))
        return False

    def _json_or_flow(self, text: str) -> Any:
        try:
            return self._json(text)
        except FleetFileError as error:
            if self._path.suffix not in (".yaml", ".yml"):
                raise
            try:
                return self._yaml(text)
            except FleetFileError:
                raise error from None

    def _json(self, text: str) -> Any:
        # Sample files in the field carry // lines; blanking them keeps every position.
        text = _JSON_COMMENT.sub(lambda m: " " * len(m[0]), text)
        if _nesting(text) > _DEEPEST:
            raise self._refusal(f"is nested more than {_DEEPEST} deep")
        twice: list[str] = []
        try:
            data = json.loads(
                text,
                object_pairs_hook=lambda pairs: _first_of_each(pairs, twice),
                parse_int=lambda s: int(s) if len(s) <= _LONGEST_INTEGER else float(s),
            )
        except json.JSONDecodeError as error:
            if error.msg.startswith("Expecting property name") and text[error.pos :][:1] == "}":
                message = "not JSON: a comma before the closing brace"
            else:
                message = f"not JSON: {error.msg}"
            raise self._refusal(message, error.lineno, error.colno) from error
        self._unscanned = text
        if twice:
            self._find_places()
        return data

    def _find_places(self) -> None:
        """Note the places of a JSON text, and the mistakes that only they show."""
        if text := self._unscanned:
            self._unscanned = ""
            self._scan(text, _end(_JSON_BLANK, text, 0), (), _Lines(text))

    def _scan(self, text: str, at: int, where: Where, lines: _Lines) -> int:
        """Note the places in a JSON text that is known to be right; returns where it ends."""
        self._places.setdefault(where, lines.place(at))
        opening = text[at]
        if opening not in "{[":
            return _end(_JSON_STRING if opening == '"' else _JSON_ATOM, text, at)
        at = _end(_JSON_BLANK, text, at + 1)
        index = 0
        while text[at] not in "}]":
            part: str | int = index
            if opening == "{":
                key_at = at
                at = _end(_JSON_STRING, text, at)
                part = json.loads(text[key_at:at])
                at = _end(_JSON_BLANK, text, _end(_JSON_BLANK, text, at) + 1)
                if not self._is_first((*where, part), lines.place(key_at)):
                    part = f"{part} (again)"
            at = _end(_JSON_BLANK, text, self._scan(text, at, (*where, part), lines))
            if text[at] == ",":
                at = _end(_JSON_BLANK, text, at + 1)
            index += 1
        return at + 1


class _Lines:
    """Line and column, from 1, of positions that are asked for in ascending order."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._line = 1
        self._start = 0
        self._searched = 0

    def place(self, at: int) -> tuple[int, int]:
        while (end := self._text.find("\n", self._searched, at)) >= 0:
            self._line += 1
            self._start = self._searched = end + 1
        self._searched = max(self._searched, at)
        return self._line, at - self._start + 1


def _end(token: re.Pattern[str], text: str, at: int) -> int:
    """Where a token that starts at a position ends."""
    match = token.match(text, at)
    return match.end() if match else at


def _first_of_each(pairs: list[tuple[str, Any]], twice: list[str]) -> dict[str, Any]:
    """An object in which of a key that is given twice the first counts; ``twice`` takes those."""
    data = dict(pairs)
    if len(data) == len(pairs):
        return data
    data = {}
    for key, value in pairs:
        if key in data:
            twice.append(key)
        else:
            data[key] = value
    return data


def _nesting(text: str) -> int:
    """How many brackets are open at once at most; those in quotes count too, at no harm."""
    deepest = depth = 0
    for bracket in re.finditer(r"[\[{\]}]", text):
        depth = depth + 1 if bracket[0] in "[{" else max(depth - 1, 0)
        deepest = max(deepest, depth)
    return deepest


def _tab_indents(text: str, line: int) -> bool:
    lines = text.splitlines()
    indent = lines[line][: -len(lines[line].lstrip()) or None] if line < len(lines) else ""
    return "\t" in indent


def _plain_value(text: str, kind: str) -> Any:
    """An unquoted YAML value. Numbers are decimal: 1:30, 0b1 and 0123 are text, as people mean."""
    if kind == "null" or text in _NULLS:
        return None
    if kind == "bool":
        return text.lower() in ("yes", "true", "on")
    if kind == "float" and text.lower() in _NOT_FINITE:
        return _NOT_FINITE[text.lower()]
    match = _DECIMAL.match(text)
    if not match:
        return text
    digits = text.replace("_", "")
    whole = match[1] is None and match[2] is None and "." not in text
    return int(digits) if whole and len(digits) <= _LONGEST_INTEGER else float(digits)
