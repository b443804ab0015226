"""What is in which file: the built-in name patterns, and the mapping file for other layouts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from exporter.config.fleet import SiteId
from exporter.history.importing.name_pattern import (
    Pattern,
    check_pattern,
    compile_pattern,
    is_name,
)
from exporter.history.importing.units import (
    TAGS,
    Conversion,
    StoredQuantity,
    conversion,
    kind,
    unit_in_header,
)

_SITE = r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}"


class LayoutError(Exception):
    """A mapping or pattern that cannot be used; its text says where and what would be right."""


class OtherRowsError(LayoutError):
    """Rows of something that the mapping leaves out."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Format(_Strict):
    """How a file is written; whatever is not said is detected."""

    timezone: str | None = Field(None, description="IANA zone, or an offset such as +01:00")
    ambiguous: Literal["order", "earlier", "later", "reject"] | None = None
    separator: str | None = None
    decimal: Literal[".", ","] | None = None
    encoding: str | None = None
    time_column: str | int | list[str | int] | None = None
    time_format: str | None = None
    skip_lines: int | None = Field(None, ge=0, description="Lines before the headings")

    def over(self, other: Format) -> Format:
        """This one, completed from another."""
        mine = {n: getattr(self, n) for n in Format.model_fields}
        return Format(**{n: getattr(other, n) if v is None else v for n, v in mine.items()})


class What(_Strict):
    """The quantity that a file or a column holds."""

    quantity: str | None = None
    unit: str | None = None
    negate: bool = False
    tags: dict[str, str] = {}

    @model_validator(mode="after")
    def _known(self) -> What:
        if self.quantity is not None:
            found = kind(self.quantity)
            if self.unit is not None:
                conversion(found, self.unit, negate=self.negate)
            wrong = set(self.tags) - set(TAGS[found.measurement])
            if wrong:
                raise ValueError(
                    f"tags of {found.measurement} are {', '.join(TAGS[found.measurement])}; "
                    f"not {', '.join(sorted(wrong))}"
                )
        return self


class ColumnRule(What):
    """Columns of a wide file, by their heading."""

    match: Pattern


class SeriesColumn(_Strict):
    """A column that says whose a row is, within a longer name."""

    column: str | int
    match: Pattern


class FileRule(What, Format):
    """Files, by their name."""

    match: Pattern
    site: str | None = None
    value_column: str | int | None = None
    columns: list[ColumnRule] = []
    series: dict[
        Annotated[str, StringConstraints(pattern=r"^[a-z_]+$")], str | int | SeriesColumn
    ] = Field({}, description="Placeholder to the column that fills it in, row by row")
    where: dict[str, str] = Field(
        {}, description="Heading to the text that a row must have there to be read"
    )
    ignore: bool = False

    @model_validator(mode="after")
    def _one_of(self) -> FileRule:
        given = [bool(self.columns), self.quantity is not None, self.ignore]
        if sum(given) != 1:
            raise ValueError("expected one of quantity, columns, ignore")
        if any(column.quantity is None for column in self.columns):
            raise ValueError("every entry of columns needs a quantity")
        if self.ignore and self.series:
            raise ValueError("expected no series with ignore")
        return self

    @property
    def series_columns(self) -> dict[str, str | int]:
        """The column of each placeholder."""
        return {
            name: entry.column if isinstance(entry, SeriesColumn) else entry
            for name, entry in self.series.items()
        }

    @property
    def series_patterns(self) -> dict[str, str]:
        """How placeholders are found in what their column says, of those that are not all of it."""
        return {n: e.match for n, e in self.series.items() if isinstance(e, SeriesColumn)}


class MappingFile(Format):
    """The mapping file: what is common to all files, and a rule for each kind of file."""

    site: SiteId | None = None
    systems: dict[str, SiteId] = {}
    files: list[FileRule] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _numbers_as_keys(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("systems"), dict):
            value = {**value, "systems": {str(k): v for k, v in value["systems"].items()}}
        return value


@dataclass(frozen=True, slots=True)
class Signal:
    """One series that a file holds: where it is stored, and how a value becomes its unit."""

    quantity: StoredQuantity
    tags: tuple[tuple[str, str], ...]
    conversion: Conversion
    column: str | int | None

    @property
    def name(self) -> str:
        """The series in words: ``cell.voltage_v pack=bms1/3 cell=17``."""
        tags = "".join(f" {name}={value}" for name, value in self.tags[1:])
        return f"{self.quantity.name}{tags}"


@dataclass(frozen=True, slots=True)
class FilePlan:
    """One file, and what is to be made of it.

    ``rule`` and ``names`` (the placeholders that its name filled in) make the signals as soon as
    the headings are known. ``site`` is empty where each row says whose it is; ``sites`` is then
    what :func:`plan_file` had of them, and ``known`` those of the fleet file, if one was named.
    """

    path: Path
    name: str
    site: str
    rule: FileRule
    names: Mapping[str, str]
    format: Format
    sites: Mapping[str, str] = field(default_factory=dict)
    known: frozenset[str] | None = None

    def of_row(self, texts: Mapping[str, str], patterns: Mapping[str, str]) -> FilePlan:
        """The plan for rows whose columns fill in these placeholders.

        Parameters
        ----------
        texts : mapping of placeholder to str
            What the row's columns say.
        patterns : mapping of placeholder to str
            Where a name is only a part of that.

        Raises
        ------
        OtherRowsError
            If it is not the pattern of the mapping.
        LayoutError
            If they cannot be names, or leave the site open.
        """
        found: dict[str, str] = {}
        for name, text in texts.items():
            match = None
            if name in patterns:
                match = compile_pattern(patterns[name]).fullmatch(text)
                if match is None and name in self.rule.series_patterns:
                    raise OtherRowsError(f"{text!r} is not {patterns[name]}")
            if match is not None:
                found |= {k: v for k, v in match.groupdict().items() if v is not None}
            elif is_name(name, text):
                found[name] = text
            else:
                raise LayoutError(f"{text!r} cannot be the name of a {name}")
        names = {**self.names, **_normal(found)}
        site = self.site or _site_of(self.rule, names, self.sites)
        if not site or not re.fullmatch(_SITE, site):
            raise LayoutError("it is not said which site this belongs to")
        if self.known is not None and site not in self.known:
            raise LayoutError(f"the fleet file has no site {site}")
        return replace(self, site=site, names=names)

    def of_days(self, *, nem12: bool) -> FilePlan:
        """The plan for the table that a file with a day in each row becomes.

        NEM12 holds energy per interval by definition, whatever a name says.
        """
        given = {"separator": None, "time_format": None, "skip_lines": None, "time_column": None}
        rule = self.rule.model_copy(update=given)
        if nem12:
            quantity = rule.quantity or ""
            direction = "import" if "import" in quantity else "export"
            if quantity in ("meter.energy_import_kwh", "meter.energy_export_kwh"):
                rule = rule.model_copy(update={"quantity": f"meter.interval_{direction}_kwh"})
        return replace(self, rule=rule, format=self.format.model_copy(update=given))

    def signals(self, headings: list[str], taken: set[int]) -> list[Signal]:
        """The signals of the file.

        Parameters
        ----------
        headings : list of str
            Column headings, or ``column 1`` … without any.
        taken : set of int
            Columns that hold the time.

        Raises
        ------
        LayoutError
            If there is none, or its unit is not known.
        """
        if not self.rule.columns:
            column = self.rule.value_column
            return [self._signal(self.rule, self.names, column, None)]
        found = []
        for index, heading in enumerate(headings):
            if index in taken:
                continue
            for rule in self.rule.columns:
                match = compile_pattern(rule.match).fullmatch(heading.strip())
                if match:
                    names = {**self.names, **_normal(match.groupdict())}
                    found.append(self._signal(rule, names, index, heading))
                    break
        if not found:
            shown = ", ".join(headings[:8])
            raise LayoutError(f"no column matches the mapping; the headings are: {shown}")
        names_found = [signal.name for signal in found]
        if len(set(names_found)) < len(found):
            twice = next(name for name in names_found if names_found.count(name) > 1)
            raise LayoutError(f"two columns are mapped to the same series, {twice}")
        return found

    def with_unit(self, signal: Signal, heading: str) -> Signal:
        """The signal with the unit that a heading such as ``value_kW`` or ``P [kW]`` names."""
        unit = unit_in_header(signal.quantity, heading) if self.rule.unit is None else None
        if unit is None:
            return signal
        made = conversion(signal.quantity, unit, negate=self.rule.negate)
        return Signal(signal.quantity, signal.tags, made, signal.column)

    def _signal(
        self, what: What, names: Mapping[str, str], column: str | int | None, heading: str | None
    ) -> Signal:
        assert what.quantity is not None  # checked when the rule was made
        quantity = kind(what.quantity)
        tags = [("site", self.site)]
        for tag in TAGS[quantity.measurement]:
            template = what.tags.get(tag) or self.rule.tags.get(tag)
            if template is None:
                if tag not in names:
                    raise LayoutError(f"the mapping gives {quantity.name} no {tag}")
                template = "{" + tag + "}"
            tags.append((tag, _fill(template, names)))
        unit = what.unit or (unit_in_header(quantity, heading) if heading else None)
        return Signal(quantity, tuple(tags), conversion(quantity, unit, negate=what.negate), column)


def _fill(template: str, names: Mapping[str, str]) -> str:
    try:
        return template.format_map(names)
    except (KeyError, ValueError, IndexError) as error:
        raise LayoutError(
            f"{template!r} asks for a placeholder that the name does not have: {error}; "
            f"it has {', '.join(names) or 'none'}"
        ) from None


def _normal(names: Mapping[str, str | None]) -> dict[str, str]:
    """Numbers without leading zeros, so that ``v07`` and ``v7`` are the same cell."""
    return {k: str(int(v)) if v.isdecimal() else v for k, v in names.items() if v is not None}


_PACK, _SYSTEM = "bms{system}/{pack}", "bms{system}"
BUILT_IN = tuple(
    FileRule.model_validate(rule)
    for rule in (
        {
            "match": "bms{system}_p{pack}_v{cell}",
            "quantity": "cell.voltage_v",
            "tags": {"pack": _PACK},
        },
        {
            "match": "bms{system}_p{pack}_t{cell}",
            "quantity": "cell.temperature_c",
            "tags": {"pack": _PACK},
        },
        {
            "match": "bms{system}_p{pack}_soc",
            "quantity": "battery.soc_percent",
            "tags": {"device": _PACK},
        },
        {
            "match": "bms{system}_p{pack}_soh",
            "quantity": "battery.soh_percent",
            "tags": {"device": _PACK},
        },
        {
            "match": "bms{system}_soc",
            "quantity": "battery.soc_percent",
            "tags": {"device": _SYSTEM},
        },
        {
            "match": "bms{system}_soh",
            "quantity": "battery.soh_percent",
            "tags": {"device": _SYSTEM},
        },
        {"match": "{meter}_ap", "quantity": "meter.active_power_w"},
        {"match": "{meter}_pf", "quantity": "meter.power_factor"},
        {"match": "{meter}_ae", "quantity": "meter.energy_import_kwh"},
        {"match": "{meter}_ae_exp", "quantity": "meter.energy_export_kwh"},
    )
)
"""File names that need no mapping. Powers and energies need their unit said all the same."""


def rule_of_option(text: str) -> FileRule:
    """The rule of ``--pattern [QUANTITY=]PATTERN``; without a quantity it is a cell's voltage."""
    quantity, equals, pattern = text.rpartition("=")
    quantity = quantity if equals else "cell.voltage_v"
    try:
        names = set(compile_pattern(check_pattern(pattern)).groupindex)
        tag = {"cell": "pack", "battery": "device"}.get(kind(quantity).measurement, "")
        tags = {}
        if tag and "system" in names and tag not in names - {"pack"}:
            tags = {tag: _PACK if "pack" in names else _SYSTEM}
        return FileRule.model_validate({"match": pattern, "quantity": quantity, "tags": tags})
    except ValueError as error:
        raise LayoutError(f"--pattern {text}: {_words(error)}") from None


def load_mapping(path: Path) -> MappingFile:
    """Read a mapping file.

    Raises
    ------
    LayoutError
        Naming every mistake with its place.
    """
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise LayoutError(f"{path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise LayoutError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    try:
        return MappingFile.model_validate(document)
    except ValidationError as error:
        raise LayoutError(f"{path}: {_words(error)}") from None


def _words(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    lines = []
    for detail in error.errors(include_url=False):
        place = ".".join(str(part) for part in detail["loc"])
        message = detail["msg"].removeprefix("Value error, ")
        lines.append(f"{place}: {message}" if place else message)
    return "; ".join(lines)


def plan_file(
    path: Path,
    name: str,
    rules: Iterable[FileRule],
    sites: Mapping[str, str],
    common: Format,
) -> list[FilePlan] | str:
    """What is to be made of one file, or why nothing is.

    Several plans, where rules with ``where`` share out its rows.

    Parameters
    ----------
    path : Path
    name : str
        Its path below the folder, with slashes.
    rules : iterable of FileRule
        The first one that matches decides.
    sites : mapping of system to site id
        The entry ``""`` is for files without a system, and for systems that are not named.
    common : Format
        What is said for all files.
    """
    plans: list[FilePlan] = []
    for rule in rules:
        match = _match(rule.match, name)
        if match is None or (plans and not rule.where):
            continue
        if rule.ignore:
            return "ignored, as the mapping says"
        names = _normal(match)
        part = "".join(f" [{column}={text}]" for column, text in rule.where.items())
        if rule.series.keys() & {"site", "system"}:
            site: str | None = ""
        else:
            site = _site_of(rule, names, sites)
        if site is None:
            system = names.get("system")
            wanted = f"--site {system}=ID" if system else "--site ID"
            return f"which site it belongs to is not said; use {wanted}"
        of_rows = {} if site else sites
        plans.append(FilePlan(path, name + part, site, rule, names, rule.over(common), of_rows))
        if not rule.where:
            break
    return plans or "the name matches no pattern; use --pattern or --mapping"


def _site_of(rule: FileRule, names: Mapping[str, str], sites: Mapping[str, str]) -> str | None:
    if rule.site:
        return _fill(rule.site, names)
    if "site" in rule.series:
        return names["site"]
    return sites.get(names.get("system", "")) or sites.get("")


def _match(pattern: str, name: str) -> dict[str, str] | None:
    whole = name if "/" in pattern else PurePosixPath(name).name
    whole = whole.removesuffix(".gz").removesuffix(".GZ")
    compiled = compile_pattern(pattern)
    stem = str(PurePosixPath(whole).with_suffix(""))
    found = compiled.fullmatch(whole) or compiled.fullmatch(stem)
    return found.groupdict() if found else None
