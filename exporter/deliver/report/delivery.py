"""Delivers a report by mail, HTTP and to a folder; a failure does not hold up the others."""

from __future__ import annotations

import asyncio
import logging
import os
import smtplib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

from exporter.deliver.report.document import as_html, title
from exporter.deliver.report.model import Report
from exporter.deliver.report.pdf import as_pdf
from exporter.deliver.report.report_file import Mail, Post, ReportPlan
from exporter.model.http import HttpClient

log = logging.getLogger(__name__)

TRIES = 4
FIRST_WAIT_SECONDS = 15.0
_SECONDS = 60
_TYPES = {"html": ("text", "html"), "pdf": ("application", "pdf")}


@dataclass(frozen=True, slots=True)
class Paper:
    """One form of a report as it is sent."""

    name: str
    format: str
    body: bytes


async def papers(report: Report, plan: ReportPlan) -> list[Paper]:
    """The files that a plan asks for.

    Raises
    ------
    exporter.deliver.report.pdf.NoPdfError
    """
    html = await asyncio.to_thread(as_html, report)
    stem = file_stem(report)
    made = []
    for form in dict.fromkeys(plan.formats):
        body = html.encode() if form == "html" else await as_pdf(html)
        made.append(Paper(f"{stem}.{form}", form, body))
    return made


def file_stem(report: Report) -> str:
    """The name of a report's files without the extension."""
    from datetime import UTC, datetime

    return f"fleetscope-report-{datetime.fromtimestamp(report.end, UTC):%Y-%m-%d}"


async def deliver(
    report: Report, plan: ReportPlan, *, first_wait_seconds: float = FIRST_WAIT_SECONDS
) -> list[str]:
    """Send a report to all destinations; returns a message for each that failed four times."""
    made = await papers(report, plan)
    ways: list[tuple[str, Callable[[], Awaitable[None]]]] = []
    if plan.directory is not None:
        folder = plan.directory
        ways.append((f"folder {folder}", lambda: asyncio.to_thread(_store, folder, made)))
    if plan.mail is not None:
        mail = plan.mail
        ways.append((f"mail by {mail.host}", lambda: asyncio.to_thread(_mail, mail, report, made)))
    if plan.post is not None:
        post = plan.post
        ways.append((f"post to {post.url}", lambda: asyncio.to_thread(_post, post, report, made)))
    failures = await asyncio.gather(*(_try(name, way, first_wait_seconds) for name, way in ways))
    return [words for words in failures if words]


async def _try(name: str, way: Callable[[], Awaitable[None]], wait: float) -> str | None:
    for attempt in range(1, TRIES + 1):
        try:
            await way()
            log.info("report sent: %s", name)
            return None
        except Exception as error:
            words = f"{name}: {type(error).__name__}: {error}"
            log.warning("report not sent (try %d of %d): %s", attempt, TRIES, words)
            if attempt < TRIES:
                await asyncio.sleep(wait * 2 ** (attempt - 1))
    return words


def _store(folder: Path, made: list[Paper]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for paper in made:
        # In one step, so that nobody reads half a report.
        new = folder / f".{paper.name}.new"
        new.write_bytes(paper.body)
        os.replace(new, folder / paper.name)


def message(mail: Mail, report: Report, made: list[Paper]) -> EmailMessage:
    """The mail: the sites that need attention as text, and the report attached."""
    letter = EmailMessage()
    letter["Subject"] = title(report)
    letter["From"] = mail.sender
    letter["To"] = ", ".join(mail.to)
    lines = [title(report), ""]
    lines += [
        f"{site.status}  {site.name} ({site.site}): {'; '.join(site.sentences)}"
        for site in report.attention
    ]
    lines += ["", "The whole report is attached."]
    letter.set_content("\n".join(lines))
    for paper in made:
        if paper.format == "html":
            # As text, so that its character set is stated.
            letter.add_attachment(paper.body.decode(), subtype="html", filename=paper.name)
        else:
            letter.add_attachment(
                paper.body, maintype="application", subtype="pdf", filename=paper.name
            )
    return letter


def _mail(mail: Mail, report: Report, made: list[Paper]) -> None:
    context = ssl.create_default_context()
    letter = message(mail, report, made)
    if mail.security == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(
            mail.host, mail.port, timeout=_SECONDS, context=context
        )
    else:
        server = smtplib.SMTP(mail.host, mail.port, timeout=_SECONDS)
    with server:
        if mail.security == "starttls":
            server.starttls(context=context)
        if mail.username is not None and mail.password is not None:
            server.login(mail.username, mail.password.read())
        server.send_message(letter)


def _post(post: Post, report: Report, made: list[Paper]) -> None:
    headers = {"X-Report-Title": title(report)}
    if post.token is not None:
        headers["Authorization"] = f"Bearer {post.token.read()}"
    files = {
        paper.format: (paper.name, paper.body, "/".join(_TYPES[paper.format])) for paper in made
    }
    http = HttpClient(headers)
    try:
        reply = http.request("POST", post.url, files=files, seconds=_SECONDS)
    finally:
        http.close()
    if reply.status >= 300:
        raise OSError(f"answered {reply.status}")
