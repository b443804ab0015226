"""Settings from the environment, ``.env`` and secret files; and no secret in any output."""

from __future__ import annotations

import os
import traceback
from pathlib import Path

import pytest

from exporter.config.settings import PREFIX, SettingsError, load_settings
from exporter.config.unknown_settings import mistyped

SECRET = "hunter2"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.upper().startswith(PREFIX)]:
        monkeypatch.delenv(name)


def refusal(**overrides: object) -> str:
    """What is told; checked for secrets wherever it could be printed."""
    with pytest.raises(SettingsError) as caught:
        load_settings(**overrides)
    told = "".join(traceback.format_exception(caught.value))
    assert SECRET not in told
    return str(caught.value)


def test_defaults() -> None:
    settings = load_settings()
    assert settings.listen == "127.0.0.1:9797"
    assert settings.host_port == ("127.0.0.1", 9797)
    assert settings.interval_seconds == 10
    assert settings.influxdb_url is None
    assert settings.influxdb_api == "v2"


def test_environment_goes_before_the_file_and_options_before_both(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lines = ["INTERVAL_SECONDS=20", "LOG_LEVEL=debug", "LISTEN=127.0.0.1:1"]
    (tmp_path / ".env").write_text("".join(f"{PREFIX}{line}\n" for line in lines))
    assert load_settings().interval_seconds == 20
    monkeypatch.setenv(f"{PREFIX}INTERVAL_SECONDS", "30")
    monkeypatch.setenv(f"{PREFIX}LISTEN", "127.0.0.1:2")
    settings = load_settings(listen="[::1]:3", fleet=None)
    assert settings.interval_seconds == 30
    assert settings.log_level == "debug"
    assert settings.host_port == ("::1", 3)


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    unset = load_settings()
    for name in ("INFLUXDB_URL", "INFLUXDB_TOKEN", "INTERVAL_SECONDS", "INFLUXDB_TOKEN_FILE"):
        monkeypatch.setenv(PREFIX + name, "")
    assert load_settings() == unset
    assert load_settings().influxdb_token is None


@pytest.mark.parametrize("name", ["influxdb_token", "influxdb_password"])
@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_secret_from_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, ending: str
) -> None:
    path = tmp_path / "secret"
    path.write_bytes((SECRET + ending).encode())
    monkeypatch.setenv(f"{PREFIX}{name.upper()}_FILE", str(path))
    secret = getattr(load_settings(), name)
    assert secret.get_secret_value() == SECRET


def test_no_secret_in_anything_that_settings_print(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text(SECRET)
    monkeypatch.setenv(f"{PREFIX}INFLUXDB_TOKEN", SECRET)
    monkeypatch.setenv(f"{PREFIX}INFLUXDB_PASSWORD_FILE", str(tmp_path / "secret"))
    settings = load_settings()
    assert settings.influxdb_token is not None
    assert settings.influxdb_password is not None
    outputs = [
        repr(settings),
        str(settings),
        f"{settings}",
        settings.model_dump_json(),
        str(settings.model_dump()),
        repr(settings.influxdb_token),
        repr(settings.influxdb_password),
        str(settings.model_copy()),
    ]
    assert not [output for output in outputs if SECRET in output]


WRONG = [
    ("LISTEN", "9797", "FLEETSCOPE_LISTEN: expected HOST:PORT"),
    ("LISTEN", "127.0.0.1:99999", "FLEETSCOPE_LISTEN: expected HOST:PORT"),
    ("LISTEN", "::1:9797", "FLEETSCOPE_LISTEN: expected HOST:PORT"),
    ("INTERVAL_SECONDS", "ten", "FLEETSCOPE_INTERVAL_SECONDS: "),
    ("INTERVAL_SECONDS", "0", "FLEETSCOPE_INTERVAL_SECONDS: "),
    ("INTERVAL_SECONDS", "nan", "FLEETSCOPE_INTERVAL_SECONDS: "),
    ("INTERVAL_SECONDS", "inf", "FLEETSCOPE_INTERVAL_SECONDS: "),
    ("INFLUXDB_URL", "localhost:8086", "FLEETSCOPE_INFLUXDB_URL: expected http://HOST:PORT"),
    ("INFLUXDB_URL", "http://[::1", "FLEETSCOPE_INFLUXDB_URL: expected http://HOST:PORT"),
    ("INFLUXDB_URL", "http://h:99999", "FLEETSCOPE_INFLUXDB_URL: the port is not a number"),
    ("INFLUXDB_URL", f"http://u:{SECRET}@h", "FLEETSCOPE_INFLUXDB_URL: holds a user name"),
    ("INFLUXDB_URL", f"http://h?t={SECRET}", "FLEETSCOPE_INFLUXDB_URL: has a query"),
    ("INFLUXDB_API", "v3", "FLEETSCOPE_INFLUXDB_API: "),
    ("INFLUXDB_DATABASE", "a b", "FLEETSCOPE_INFLUXDB_DATABASE: "),
    ("INFLUXDB_RETENTION", "forever", "FLEETSCOPE_INFLUXDB_RETENTION: expected a number of"),
    ("QUEUE_MEGABYTES", "0.5", "FLEETSCOPE_QUEUE_MEGABYTES: "),
    ("LOG_LEVEL", "loud", "FLEETSCOPE_LOG_LEVEL: "),
    ("LOG_FORMAT", "xml", "FLEETSCOPE_LOG_FORMAT: "),
]


@pytest.mark.parametrize(("name", "value", "told"), WRONG)
def test_each_wrong_value_is_named(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, told: str
) -> None:
    monkeypatch.setenv(f"{PREFIX}INFLUXDB_TOKEN", SECRET)
    monkeypatch.setenv(PREFIX + name, value)
    lines = refusal().splitlines()
    assert lines[0] == "wrong settings"
    assert len(lines) == 2
    assert lines[1].startswith(f"  {told}")


def test_all_wrong_values_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value, _ in {wrong[0]: wrong for wrong in WRONG}.values():
        monkeypatch.setenv(PREFIX + name, value)
    assert len(refusal().splitlines()) == 1 + len({wrong[0] for wrong in WRONG})


def test_a_secret_and_its_file_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET)
    for name in ("INFLUXDB_TOKEN", "INFLUXDB_PASSWORD"):
        monkeypatch.setenv(PREFIX + name, SECRET)
        monkeypatch.setenv(f"{PREFIX}{name}_FILE", str(tmp_path / "secret"))
    assert refusal().splitlines()[1:] == [
        "  FLEETSCOPE_INFLUXDB_TOKEN and FLEETSCOPE_INFLUXDB_TOKEN_FILE are both set; keep one",
        "  FLEETSCOPE_INFLUXDB_PASSWORD and FLEETSCOPE_INFLUXDB_PASSWORD_FILE are both set; "
        "keep one",
    ]


def test_secret_files_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    # The secret itself, where the name of its file belongs.
    monkeypatch.setenv(f"{PREFIX}INFLUXDB_TOKEN_FILE", SECRET)
    monkeypatch.setenv(f"{PREFIX}INFLUXDB_PASSWORD_FILE", str(tmp_path))
    unreadable = "the file it names cannot be read"
    assert refusal().splitlines()[1:] == [
        f"  FLEETSCOPE_INFLUXDB_TOKEN_FILE: {unreadable}: No such file or directory",
        f"  FLEETSCOPE_INFLUXDB_PASSWORD_FILE: {unreadable}: Is a directory",
    ]


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines", b"\xff\xfe", b"a\x00b"])
def test_secret_files_that_hold_no_secret(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "secret").write_bytes(content)
    monkeypatch.setenv(f"{PREFIX}INFLUXDB_TOKEN_FILE", str(tmp_path / "secret"))
    assert "FLEETSCOPE_INFLUXDB_TOKEN_FILE: the file it names" in refusal()


def test_an_env_file_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(f"{PREFIX}INFLUXDB_TOKEN={SECRET}\xe9".encode("latin-1"))
    assert "UTF-8" in refusal()


def test_a_mistyped_variable_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = ("LISTEN", "URL", "ALERT_EMAIL_TO", "INFLUXDB_TOKEN_FILE", "CELL_SECONDS")
    for name in right:
        monkeypatch.setenv(f"FLEETSCOPE_{name}", "x")
    assert mistyped() == []
    monkeypatch.setenv("FLEETSCOPE_INFLUX_URL", "http://secret")
    (tmp_path / ".env").write_text("FLEETSCOPE_COLOUR=secret\nOTHER=1\n", "utf-8")
    assert mistyped() == [
        "FLEETSCOPE_COLOUR is no setting and changes nothing",
        "FLEETSCOPE_INFLUX_URL is no setting and changes nothing; FLEETSCOPE_INFLUXDB_URL is",
    ]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"shard_urls": "http://a,http://b"}, "expected 1 addresses"),
        ({"shard": "0/2", "shard_urls": "http://a"}, "expected 2 addresses"),
        ({"shard": "0/2", "shard_urls": "http://a,http://b"}, "needs FLEETSCOPE_SHARD_TOKEN"),
        ({"shard": "0/2", "shard_urls": "http://a,ftp://b"}, "SHARD_URLS: expected http://"),
        ({"shard_token": "short"}, "SHARD_TOKEN: expected 16 characters"),
    ],
)
def test_shards_that_could_not_ask_each_other(given: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load_settings(**given)
