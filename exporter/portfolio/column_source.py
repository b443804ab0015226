"""Where the columns of a table are in a file of somebody else: headings, units, names of things."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, ConfigDict, Field, RootModel, model_validator

from exporter.config.side_file import SideModel, load

_PARTS = re.compile(r"%.")


def _plain(value: object) -> object:
    # The shortest text that is this number, so that 0.001 is no binary fraction.
    return repr(value) if isinstance(value, float) else value


class ColumnSource(SideModel):
    """One column.

    ``column`` is its heading in the file, ``value`` what stands for every row of a file without
    it. ``values`` translates cells, such as another system's ids of sites; a cell that it does not
    name stays as it is. Numbers are multiplied by ``factor``, which turns units and signs. Times
    and dates that are not written as in ISO 8601 need their ``format``, as of
    :meth:`datetime.datetime.strptime`.
    """

    model_config = ConfigDict(coerce_numbers_to_str=True)

    column: str | None = None
    value: str | None = None
    values: dict[str, str] = Field(default_factory=dict)
    factor: Annotated[Decimal, BeforeValidator(_plain), Field(allow_inf_nan=False)] | None = None
    format: str | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if self.column is not None and self.value is not None:
            raise ValueError("name either column or value")
        if self.factor == 0:
            raise ValueError("factor: expected a number other than 0")
        if self.format is not None and not {"%d", "%m"} <= set(_PARTS.findall(self.format)):
            raise ValueError("format: expected one with a day and a month, such as '%d/%m/%Y'")
        return self

    def moment(self, cell: Any) -> Any:
        """A time or date as the table has it; a cell that is no text stays as it is.

        Raises
        ------
        ValueError
        """
        if self.format is None or not isinstance(cell, str):
            return cell
        try:
            return datetime.strptime(cell.strip(), self.format)
        except ValueError:
            raise ValueError(f"{cell[:40]!r} is not written as {self.format}") from None

    def translated(self, cell: Any) -> Any:
        """A cell as the table has it."""
        if self.value is not None:
            return self.value
        return self.values.get(str(cell).strip(), cell) if self.values else cell


ColumnMapping = Mapping[str, "str | ColumnSource"]
"""Columns of a table to a heading of the file, or to more about it."""
NO_MORE = ColumnSource()


class _File(RootModel[dict[str, str | ColumnSource]]):
    pass


def load_mapping(path: Path) -> ColumnMapping:
    """Read a mapping file.

    Raises
    ------
    exporter.config.side_file.SideFileError
        With every mistake found.
    """
    return load(path, _File).root


def source_of(mapping: ColumnMapping, column: str) -> ColumnSource:
    """What a mapping says of a column."""
    found = mapping.get(column, NO_MORE)
    return ColumnSource(column=found) if isinstance(found, str) else found
