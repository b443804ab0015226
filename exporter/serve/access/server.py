"""The HTTP server behind its guard, with certificates and users that change while it runs."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from fastapi import FastAPI

from exporter.config.fleet import Project
from exporter.config.settings import Settings
from exporter.config.watched_file import WatchedFile
from exporter.model.audit_file import AuditFile, AuditLogError
from exporter.serve.access.audit import AccessAudit
from exporter.serve.access.guard import Guard
from exporter.serve.access.origins import own_names
from exporter.serve.access.protocol import PatientProtocol
from exporter.serve.access.proxies import TrustedProxies, networks_of
from exporter.serve.access.sign_in import SignIn
from exporter.serve.access.tls import server_context
from exporter.serve.access.web_config import WebConfig, WebConfigError, load_web_config
from exporter.serve.application import Server

log = logging.getLogger(__name__)


def open_audit_log(settings: Settings) -> AuditFile:
    """The audit log of the settings.

    Raises
    ------
    SystemExit
        If it cannot be opened.
    """
    try:
        return AuditFile(settings.audit_log)
    except AuditLogError as error:
        raise SystemExit(f"fleetscope: FLEETSCOPE_AUDIT_LOG: {error}") from None


class GuardedServer:
    """Serves the application on one listening socket until it is stopped.

    The web configuration and the files it names are looked at every two seconds. A new one is
    taken by a new server on the same socket, so that no connection is refused meanwhile; one that
    is wrong is reported once, and the previous one stays in force.

    Raises
    ------
    SystemExit
        If the web configuration is wrong at the start.
    """

    def __init__(
        self,
        app: FastAPI,
        settings: Settings,
        projects: Callable[[], Mapping[str, Project]] = dict,
        audit: AuditFile | None = None,
    ) -> None:
        self._app = app
        app.state.era = 0
        self._host, self._port = settings.host_port
        self._path = settings.web_config
        try:
            loaded = self._load()
        except WebConfigError as error:
            raise SystemExit(f"fleetscope: FLEETSCOPE_WEB_CONFIG: {error}") from None
        self._file = WatchedFile(
            "web configuration", self._load, self._files, loaded, WebConfigError
        )
        token = settings.change_token
        self.audit = AccessAudit(audit or open_audit_log(settings))
        self._sign_in = SignIn(
            frozenset(name.strip() for name in settings.contact_users.split(",") if name.strip()),
            token.get_secret_value() if token else None,
            self.audit,
        )
        app.add_middleware(
            Guard,
            config=lambda: self._config,
            sign_in=self._sign_in,
            audit=self.audit,
            names=own_names(settings.allowed_hosts),
            projects=projects,
            caller_seconds=settings.caller_seconds,
        )
        self._trusted = networks_of(settings.trusted_proxies)
        if self._trusted:
            app.add_middleware(TrustedProxies, trusted=self._trusted)
        self._changed = asyncio.Event()
        self._stopped = False
        self._server = self._make()
        self._warn()

    @property
    def _config(self) -> WebConfig:
        return self._file.value[0]

    @property
    def _context(self) -> ssl.SSLContext | None:
        return self._file.value[1]

    @property
    def successful(self) -> bool | None:
        """Whether what is on disk now is in force; None where no file is named."""
        return None if self._path is None else self._file.successful

    @property
    def scheme(self) -> str:
        """``https`` where the web configuration has TLS, else ``http``."""
        return "https" if self._context else "http"

    async def serve(self, listener: socket.socket) -> None:
        """Serve on a socket that listens, until :meth:`stop`."""
        leaving: dict[asyncio.Task[None], Server] = {}
        with listener:
            while True:
                self._changed.clear()
                tls = self._config.tls_server_config
                server = self._server
                task = asyncio.create_task(server.serve(sockets=[listener.dup()]))
                changed = asyncio.create_task(self._changed.wait())
                await asyncio.wait({task, changed}, return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
                if self._stopped or task.done():
                    break
                if self._config.tls_server_config == tls:
                    server.retire()
                else:
                    # What was agreed on certificates before holds no longer.
                    server.should_exit = True
                leaving = {t: s for t, s in leaving.items() if not t.done()} | {task: server}
                self._server = self._make()
            for replaced in leaving.values():
                replaced.stop()
            await asyncio.gather(task, *leaving)

    def stop(self) -> None:
        """Answer what is under way and end."""
        self._stopped = True
        self._server.stop()
        self._changed.set()

    async def watch(self) -> None:
        """Take the web configuration again if it or a file that it names has changed."""
        await self._sign_in.refresh(self._config, time.monotonic())
        if self._stopped or not await asyncio.to_thread(self._file.changed):
            return
        if not await asyncio.to_thread(self._file.reload):
            return
        log.info(
            "web configuration taken: %s, %d users", self.scheme, len(self._config.basic_auth_users)
        )
        self.audit.configured("web configuration", users=len(self._config.basic_auth_users))
        # Event streams end, and their callers sign in anew.
        self._app.state.era += 1
        self._changed.set()

    def _load(self) -> tuple[WebConfig, ssl.SSLContext | None]:
        if self._path is None:
            return WebConfig(), None
        config = load_web_config(self._path)
        tls = config.tls_server_config
        return config, server_context(tls) if tls else None

    def _files(self, loaded: tuple[WebConfig, ssl.SSLContext | None]) -> list[Path]:
        return [] if self._path is None else [self._path, *loaded[0].files()]

    def _make(self) -> Server:
        server = Server(self._app, self._host, self._port)
        context, tls = self._context, self._config.tls_server_config
        names = frozenset(tls.client_allowed_sans) if tls else frozenset()
        config = server.config
        config.http = type(
            "Patient", (PatientProtocol,), {"allowed_names": names, "trusted": self._trusted}
        )
        # Headers of proxies are read by TrustedProxies alone.
        config.proxy_headers = False
        if context is not None:
            config.ssl_context_factory = lambda *_: context
        return server

    def _warn(self) -> None:
        try:
            local = ipaddress.ip_address(self._host).is_loopback
        except ValueError:
            local = self._host == "localhost"
        if not local and not self._config.signs_in:
            log.warning(
                "listening beyond this machine without sign-in: whoever reaches %s:%s sees the "
                "fleet and its contacts; see FLEETSCOPE_WEB_CONFIG",
                self._host,
                self._port,
            )
