"""The templates of messages for chats, in which no value can become markup.

Messages hold names of sites and texts of devices. In Slack and what reads its format, ``<…>`` is a
link or calls everybody; in Mattermost ``@channel`` and ``[…](…)`` do. All make links of bare
addresses.
"""

from __future__ import annotations

import re

_ACTION = re.compile(r"\{\{(-?) *(.*?) *(-?)\}\}", re.DOTALL)
_CONTROL = re.compile(r"(?:if|else|end|range|define|template|with|block)\b|/\*|\"")
_REPLACED = (
    ("<", "&lt;"),
    (">", "&gt;"),
    (r"@(channel|here|all|everyone)\b", "@\u200b${1}"),
    (r"\]\(", "]\u200b("),
    ("://", ":\u200b//"),
    (r"\b(?i:www)\.", "www\u200b."),
)
# Alertmanager's own address, out of its command line.
_OWN = re.compile(r"\.ExternalURL$")
# Written by the renderer from settings, not from values.
_SHARED = ("grafana_url", "runbooks_url")


def chat_templates(text: str) -> str:
    """Definitions named ``fleetscope.chat.…`` for all those named ``fleetscope.…``.

    Parameters
    ----------
    text : str
        The templates of plain messages.
    """
    shared = "|".join(_SHARED)
    named = re.sub(rf'"fleetscope\.(?!{shared})', '"fleetscope.chat.', text)
    return _ACTION.sub(_escaped, named)


def _escaped(match: re.Match[str]) -> str:
    left, expression, right = match.groups()
    if _CONTROL.match(expression) or _OWN.match(expression):
        return match[0]
    expression = f'printf "%v" ({expression})'
    for pattern, replacement in _REPLACED:
        escaped = pattern.replace("\\", "\\\\")
        expression = f'reReplaceAll "{escaped}" "{replacement}" ({expression})'
    return f"{{{{{left} {expression} {right}}}}}"
