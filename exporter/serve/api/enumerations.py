"""Parameters of which the values are a closed list: they are read in any case.

A quantity goes by its name in questions and by its name in InfluxDB.
"""

from __future__ import annotations

from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.fields import FieldInfo

from exporter.ask.catalogue import spellings


class Parameters(BaseModel):
    """The parameters of a route. An unknown one is refused."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _any_case(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {name: _spelled(cls.model_fields.get(name), value) for name, value in given.items()}

    def has(self, name: str, value: str | None) -> bool:
        """Whether a value is in the list of a parameter, in any case; an empty list lets all."""
        wanted = getattr(self, name)
        return not wanted or (value or "").casefold() in {text.casefold() for text in wanted}


def _spelled(field: FieldInfo | None, value: Any) -> Any:
    """A value as the closed list of a field spells it; as it is where it is not in there."""
    if isinstance(value, list):
        return [_spelled(field, one) for one in value]
    if not isinstance(value, str):
        return value
    spelled = {choice.casefold(): choice for choice in _choices(field)}
    given = value.casefold()
    return next((spelled[n] for n in (given, *spellings(given)) if n in spelled), value)


def _choices(field: FieldInfo | None) -> list[str]:
    """The closed list of a field, by its type or its description; empty where it has none."""
    if field is None:
        return []
    described = field.json_schema_extra
    if isinstance(described, dict):
        items = described.get("items")
        listed = described.get("enum") or (items.get("enum") if isinstance(items, dict) else None)
        if isinstance(listed, list):
            return [str(choice) for choice in listed]
    return _literals(field.annotation)


def _literals(kind: Any) -> list[str]:
    if get_origin(kind) is Literal:
        return [choice for choice in get_args(kind) if isinstance(choice, str)]
    return [choice for part in get_args(kind) for choice in _literals(part)]
