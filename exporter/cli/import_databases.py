"""Which database an import goes to, where projects have databases of their own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from exporter.config.settings import Settings, SettingsError
from exporter.history.databases import Databases, title

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.history.importing.layout import FilePlan


def choose_database(
    plans: list[FilePlan],
    left_out: dict[str, str],
    settings: Settings,
    fleet: Path | None,
    project: str | None,
) -> tuple[Settings, list[FilePlan], dict[str, str]]:
    """The settings of the one database that an import writes to, and the files for it.

    Parameters
    ----------
    plans : list of FilePlan
    left_out : dict of file name to reason
    settings : Settings
    fleet : Path or None
        Fleet file, which says the projects of sites.
    project : str or None
        Only files of this project's sites; others are left out.

    Raises
    ------
    SettingsError
        There is no such database, or the files belong to several.
    """
    databases = Databases(settings.model_copy(update={"fleet": fleet or settings.fleet}))
    if project is not None and project not in databases.by_project:
        known = ", ".join(sorted(name for name in databases.by_project if name)) or "none"
        raise SettingsError(
            f"the project {project} has no database of its own; these have: {known}"
        )
    if not databases.are_several:
        return settings, plans, left_out
    if project is None:
        keys = {databases.of(plan.site) for plan in plans if plan.site}
        if len(keys) != 1 or not all(plan.site for plan in plans):
            named = ", ".join(sorted(title(key) for key in keys)) or "unknown"
            raise SettingsError(
                f"the files may belong to several databases ({named}); name one with --project, "
                "or import a folder that holds files of one"
            )
        (project,) = keys
    if project not in databases.by_project:
        raise SettingsError(f"nothing is stored of {title(project)}")
    own = databases.sites_of(project)
    kept = [replace(p, known=own) for p in plans if not p.site or p.site in own]
    others = {p.name: f"not of {title(project)}" for p in plans if p.site and p.site not in own}
    return databases.by_project[project], kept, left_out | others
