"""The databases of projects: which InfluxDB, database and sign-in each one's sites go to.

The file that ``FLEETSCOPE_INFLUXDB_PROJECTS`` names is read at the start of every process. It holds
no secrets: it names environment variables or files that do.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr, StringConstraints, ValidationError

from exporter.config.fleet import ProjectId
from exporter.config.settings import DatabaseName, Settings, SettingsError, UrlText
from exporter.config.side_file import Secret, SideFileError, SideModel, load

_VARIABLE = "FLEETSCOPE_INFLUXDB_PROJECTS"

Name = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=200)]


class ProjectDatabase(SideModel):
    """Where one project is stored; what is left out is as the settings say for all others."""

    database: DatabaseName
    url: UrlText | None = None
    org: Name | None = None
    token: Secret | None = None
    username: Name | None = None
    password: Secret | None = None


class ProjectDatabases(SideModel):
    """The file: a database for each project that has one of its own."""

    projects: Annotated[dict[ProjectId, ProjectDatabase], Field(min_length=1, max_length=100)]


def databases_of(settings: Settings) -> dict[str | None, Settings]:
    """The settings of every database, by project; None is that of all other sites.

    Only what concerns InfluxDB and its queue differs. The limits of the queue are shared out
    evenly, so that all queues together stay within them.

    Returns
    -------
    dict of project or None to Settings
        Empty where nothing is stored; one entry, the settings themselves, without the file.

    Raises
    ------
    SettingsError
        Naming every mistake of the file; no secret is shown.
    """
    shared: dict[str | None, Settings] = {}
    if settings.influxdb_url is not None:
        shared[None] = settings
    if settings.influxdb_projects is None:
        return shared
    try:
        file = load(settings.influxdb_projects, ProjectDatabases)
        own = {name: _settings_of(settings, name, entry) for name, entry in file.projects.items()}
    except (SideFileError, ValidationError) as error:
        raise SettingsError(f"{_VARIABLE}: {error}") from None
    found = shared | own
    _refuse_shared(found)
    count = len(found)
    return {
        name: one.model_copy(
            update={
                "queue_disk_megabytes": max(1, one.queue_disk_megabytes // count),
                "queue_megabytes": max(1, one.queue_megabytes // count),
            }
        )
        for name, one in found.items()
    }


def _settings_of(settings: Settings, name: str, entry: ProjectDatabase) -> Settings:
    url = entry.url or settings.influxdb_url
    if url is None:
        raise SideFileError(f"projects.{name}: url is needed, FLEETSCOPE_INFLUXDB_URL is not set")
    queue = settings.queue_dir
    changed: dict[str, object] = {
        "influxdb_projects": None,
        "influxdb_url": url,
        "influxdb_database": entry.database,
        "influxdb_org": entry.org or settings.influxdb_org,
        "queue_dir": queue and queue / "projects" / name,
    }
    # A sign-in is never sent to another server than the one that it was given for.
    if entry.url is not None and entry.url != settings.influxdb_url:
        changed |= {"influxdb_token": None, "influxdb_username": None, "influxdb_password": None}
    try:
        if entry.token is not None:
            changed["influxdb_token"] = SecretStr(entry.token.read())
        if entry.username is not None:
            changed |= {"influxdb_username": entry.username, "influxdb_password": None}
        if entry.password is not None:
            changed["influxdb_password"] = SecretStr(entry.password.read())
    except SideFileError as error:
        raise SideFileError(f"projects.{name}: {error}") from None
    return settings.model_copy(update=changed)


def _refuse_shared(found: dict[str | None, Settings]) -> None:
    """Two projects in one database would read each other."""
    seen: dict[tuple[str | None, str, str], str | None] = {}
    for name, one in found.items():
        organisation = one.influxdb_org if one.influxdb_api == "v2" else ""
        place = (one.influxdb_url, organisation, one.influxdb_database)
        if place in seen:
            other = seen[place]
            whose = f"projects.{other}" if other else "FLEETSCOPE_INFLUXDB_DATABASE"
            raise SettingsError(
                f"{_VARIABLE}: projects.{name}.database: {one.influxdb_database} is that of {whose}"
            )
        seen[place] = name
