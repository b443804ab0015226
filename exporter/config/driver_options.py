"""What the fleet file knows of drivers: their names, options and URL schemes.

Drivers live above this package and import it; the wiring passes their registry in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

DEFAULT_DRIVER = "venus-http"


class DriverOptions(BaseModel):
    """Base of every driver's options: their fields are keys of a site in the fleet file.

    Each field has a description, which becomes its meaning in docs/fleet-file.md. Validators find
    an :class:`OptionContext` in ``info.context``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    def identity(self) -> tuple[object, ...]:
        """Values that identify the device: where one changes, the site starts afresh."""
        return tuple(self.__dict__.values())


def block_of(info: FieldInfo) -> type[BaseModel] | None:
    """The model of an option that is a block of further keys; None for a plain one."""
    kind = info.annotation
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


@dataclass(frozen=True, slots=True)
class OptionContext:
    """What an option may depend on: the fleet file's folder, the site's ``api_endpoint``, and the
    names of all options that the site gives, right or wrong."""

    folder: Path
    endpoint: str
    given: frozenset[str]


class DriverDeclaration:
    """Base of every driver class: what the fleet file may say of a site with that driver.

    Attributes
    ----------
    options : type of DriverOptions
        Its options.
    schemes : tuple of str
        URL schemes of ``api_endpoint`` that it understands.
    needs_endpoint : bool
        Whether a site must have an ``api_endpoint``.
    summary : str
        The protocol in one sentence, for docs/fleet-file.md.
    gives, switch_on : str
        What its devices tell, and how they are made to answer, for docs/devices.md.
    """

    options: ClassVar[type[DriverOptions]] = DriverOptions
    schemes: ClassVar[tuple[str, ...]] = ("http", "https")
    needs_endpoint: ClassVar[bool] = True
    summary: ClassVar[str] = ""
    gives: ClassVar[str] = ""
    switch_on: ClassVar[str] = ""


Declarations = Mapping[str, type[DriverDeclaration]]
"""Driver name, as the fleet file writes it, to the driver's class."""


def take_options(
    raw: Mapping[str, Any], drivers: Declarations, folder: Path
) -> tuple[dict[str, Any], DriverOptions | None, list[ErrorDetails]]:
    """Split a site of the fleet file into its common keys and its driver's options.

    Parameters
    ----------
    raw : mapping
        The site as the file has it.
    drivers : Declarations
    folder : Path
        Folder of the fleet file.

    Returns
    -------
    tuple
        The site without the options; the options, None where they are wrong or the driver is
        unknown; the validator's errors, their places relative to the site.
    """
    driver = (
        drivers.get(name) if isinstance(name := raw.get("driver", DEFAULT_DRIVER), str) else None
    )
    # The options of an unknown driver cannot be checked, and are no mistake of their own.
    models = [driver.options] if driver else [d.options for d in drivers.values()]
    names = {name for model in models for name in model.model_fields}
    given = {key: value for key, value in raw.items() if key in names}
    common = {key: value for key, value in raw.items() if key not in names}
    if driver is None:
        return common, None, []
    context = OptionContext(folder, str(raw.get("api_endpoint", "")), frozenset(given))
    try:
        return common, driver.options.model_validate(given, context=context), []
    except ValidationError as error:
        return common, None, error.errors(include_url=False)
