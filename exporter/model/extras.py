"""Parts of the program whose libraries are optional, as extras of the package."""

from __future__ import annotations

import importlib.util

EXTRAS = {
    "forecast": ("lightgbm", "the candidate that forecasts compete with"),
    "import": ("pyarrow", "fleetscope import"),
    "report": ("weasyprint", "the report as PDF"),
    "mcp": ("mcp", "fleetscope mcp"),
    "oidc": ("jwt", "sign-in with tokens (oidc)"),
}
"""For each extra the library that it brings, and what needs it."""


def missing(extra: str) -> str | None:
    """What to install for an extra whose library is absent; None where it is installed.

    Parameters
    ----------
    extra : str
        A key of :data:`EXTRAS`.
    """
    library, purpose = EXTRAS[extra]
    # Found, not loaded: loading takes up to a second.
    if importlib.util.find_spec(library) is not None:
        return None
    return f"{purpose} needs {library}, which is not installed: pip install 'fleetscope[{extra}]'"
