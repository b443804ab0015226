"""Whether a reply is what ``/openapi.json`` says of it."""

from __future__ import annotations

from typing import Any

import orjson
from pydantic import TypeAdapter


def check(reply: Any, found: Any) -> None:
    """Hold a reply, as plain JSON values, against its type: no member more, none less, no other
    type.

    Raises
    ------
    pydantic.ValidationError
        With everything that differs.
    """
    adapter = TypeAdapter(reply)
    read = adapter.validate_json(orjson.dumps(found), strict=True)
    # Dataclasses ignore members that they do not know: what is left of the reply must be all of it.
    assert orjson.loads(adapter.dump_json(read)) == orjson.loads(orjson.dumps(found))
