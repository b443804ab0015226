"""What the models of the web configuration have in common."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

RoleName = Literal["viewer", "operator", "admin"]
RoleProject = Annotated[str, StringConstraints(pattern=r"^(\*|[A-Za-z0-9][A-Za-z0-9_-]{0,31})$")]


class WebModel(BaseModel):
    """Unknown keys are refused, and no error quotes what the file holds."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
