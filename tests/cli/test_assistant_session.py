"""Ten tasks of an assistant with the client of the MCP SDK, and what they cost in tokens."""

from __future__ import annotations

import json
from typing import Any

import pytest
from mcp import Client

from exporter.cli.mcp.server import build
from tests.ask.conftest import assessment, url

__all__ = ["assessment", "url"]

LETTERS_PER_TOKEN = 4
TASKS: tuple[tuple[str, str, dict[str, Any], str], ...] = (
    # What the person wants, the tool, its arguments, and what the answer must say.
    ("How is the fleet?", "fleet_status", {}, "sites need attention"),
    ("What needs me first?", "sites_needing_attention", {"limit": 3}, "Epsilon"),
    ("Why is Alpha bad?", "explain_site", {"site": "alpha"}, "State of health is 68.0 %"),
    ("What is Delta doing?", "site_details", {"site": "Delta"}, "47"),
    ("Who is hot in Spain?", "find_sites", {"conditions": ["hot"], "filters": ["location:Spain"]},
     "1 site of"),
    ("Worst five by health", "rank_sites", {"metric": "soh", "limit": 5}, "Alpha"),
    ("Alpha against Beta", "compare_sites", {"sites": ["alpha", "beta"]}, "Alpha"),
    ("Which cell of Gamma?", "site_cells", {"site": "gamma", "limit": 3}, "lowest 7"),
    ("Since when is Epsilon gone?", "since_when", {"site": "epsilon"}, "Epsilon"),
    ("In their own words", "ask_fleet", {"question": "how much energy is stored in all batteries?"},
     "kWh"),
)  # fmt: skip
MOST_OF_TOOLS, MOST_OF_AN_ANSWER, MOST_OF_ALL = 5_000, 1_500, 11_500
"""Tokens. docs/ask.md gives these figures."""


def tokens(text: str) -> int:
    return -(-len(text) // LETTERS_PER_TOKEN)


async def test_ten_tasks_are_answered_within_their_cost(url: str) -> None:
    async with Client(build(url)) as client:
        tools = (await client.list_tools()).tools
        described = sum(tokens(tool.model_dump_json(exclude_none=True)) for tool in tools)
        costs = {}
        for task, name, arguments, words in TASKS:
            result = await client.call_tool(name, arguments)
            assert not result.is_error, (task, result.content)
            text = result.content[0].text  # type: ignore[union-attr]
            assert words in text, (task, text[:500])
            costs[task] = tokens(text) + tokens(json.dumps(arguments))
    assert len(TASKS) == 10
    assert described <= MOST_OF_TOOLS
    assert max(costs.values()) <= MOST_OF_AN_ANSWER, costs
    assert described + sum(costs.values()) <= MOST_OF_ALL, (described, costs)


@pytest.mark.parametrize("name", sorted({name for _, name, _, _ in TASKS}))
async def test_an_unknown_argument_is_refused_by_every_tool(url: str, name: str) -> None:
    async with Client(build(url)) as client:
        result = await client.call_tool(name, {"everything": True})
    assert result.is_error
    assert "has no argument 'everything'" in str(result.content)
