"""Small YAML files: prices, report, tickets. They hold no secrets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

LARGEST_BYTES = 1024 * 1024
Model = TypeVar("Model", bound=BaseModel)


class SideFileError(Exception):
    """A file that cannot be used; the text names every mistake and shows no secret."""


class SideModel(BaseModel):
    """Base of what these files hold: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Secret(SideModel):
    """Where a secret is found: an environment variable, or a file that holds one line."""

    env: str | None = None
    file: Path | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError("name either env, an environment variable, or file, a path")
        return self

    def read(self) -> str:
        """The secret.

        Raises
        ------
        SideFileError
            Where it is absent; the message names the path, never the content.
        """
        if self.env is not None:
            value = os.environ.get(self.env, "")
            if not value:
                raise SideFileError(f"the environment variable {self.env} is not set")
            return value
        assert self.file is not None  # one of the two is set
        try:
            value = self.file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is not UTF-8"
            raise SideFileError(f"{self.file} cannot be read: {reason}") from error
        if not value or not value.isprintable():
            raise SideFileError(f"{self.file} does not hold one line of text")
        return value


def beside(path: Path, entries: Mapping[str, Model]) -> dict[str, Model]:
    """Entries with the ``file`` of each, where it names one, taken from beside ``path``."""
    return {
        name: one.model_copy(update={"file": path.parent / file})
        if (file := getattr(one, "file", None))
        else one
        for name, one in entries.items()
    }


def load(path: Path, model: type[Model]) -> Model:
    """Read and check such a file.

    Raises
    ------
    SideFileError
        With every mistake found.
    """
    try:
        raw = path.read_bytes()
        if len(raw) > LARGEST_BYTES:
            raise SideFileError(f"{path} is larger than 1 MiB")
        data: Any = yaml.safe_load(raw.decode("utf-8-sig"))
        return model.model_validate(data)
    except OSError as error:
        raise SideFileError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SideFileError(f"{path} is not UTF-8; save it as UTF-8") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise SideFileError(f"{path}{place}: not YAML: {getattr(error, 'problem', '')}") from error
    except RecursionError as error:
        raise SideFileError(f"{path} is nested too deeply") from error
    except ValidationError as error:
        lines = []
        for found in error.errors(include_url=False, include_input=False):
            place = ".".join(str(part) for part in found["loc"]) or "the file"
            message = str(found["msg"]).removeprefix("Value error, ")
            if found["type"] == "extra_forbidden":
                message = "unknown key"
            lines.append(f"{place}: {message.replace('Input should be', 'expected', 1)}")
        raise SideFileError(f"{path}: " + "; ".join(lines)) from None
