"""Questions become the query that they ask, and nothing else becomes one."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from exporter.ask.answer import CannotAnswerError
from exporter.ask.answerer import EXAMPLES, Answerer
from exporter.ask.language.changes import CHANGES
from exporter.ask.language.followup import Context
from exporter.ask.language.lexicon import LANGUAGES
from exporter.ask.language.parse import NotUnderstoodError, understand
from exporter.ask.language.parts import Parts
from exporter.ask.language.rules import RULES
from exporter.ask.lookup import Directory
from exporter.ask.query import Query
from exporter.config.fleet import Fleet
from tests.ask.conftest import WALL
from tests.ask.phrases import compact, read

NOW = datetime.fromtimestamp(WALL, UTC)
BERLIN = ZoneInfo("Europe/Berlin")
QUESTIONS, DECLINED = read("questions.txt"), read("declined.txt")


def query(text: str, directory: Directory, context: Context | None = None) -> Query:
    return understand(text, directory, NOW, BERLIN, context).query


@pytest.mark.parametrize(("text", "wanted"), QUESTIONS)
def test_understood(directory: Directory, text: str, wanted: str) -> None:
    assert compact(query(text, directory)) == wanted


@pytest.mark.parametrize("text", [text for text, _ in DECLINED])
def test_declined_with_a_reason(directory: Directory, text: str) -> None:
    with pytest.raises(NotUnderstoodError) as error:
        query(text, directory)
    assert str(error.value)
    assert error.value.examples


def test_there_are_enough_of_both() -> None:
    assert len(QUESTIONS) >= 150
    assert len(DECLINED) >= 50


class NoSuchReadingError(Exception):
    """A reading that no site of this fleet gives."""


async def answered(answerer: Answerer, asked: Query) -> None:
    try:
        await answerer.answer(asked)
    except CannotAnswerError as error:
        if "no site has a" not in str(error) and "has no cell" not in str(error):
            raise
        raise NoSuchReadingError from error


@pytest.mark.slow
async def test_every_question_about_now_has_an_answer(
    answerer: Answerer, directory: Directory
) -> None:
    for text, _ in QUESTIONS:
        asked = query(text, directory)
        if asked.period is None:
            with contextlib.suppress(NoSuchReadingError):
                await answered(answerer, asked)


@pytest.mark.parametrize("text", ["attention\n\tplease?!", "ATTENTION", "  any   PROBLEMS  ?? "])
def test_case_and_spacing_do_not_matter(directory: Directory, text: str) -> None:
    assert compact(query(text, directory)) == "attention"


def test_the_examples_are_understood() -> None:
    from tests.ask.conftest import judged

    directory = Directory(judged().fleet)
    for what, example in EXAMPLES.items():
        assert query(example, directory).what is what


def test_a_misspelling_is_read_and_said(directory: Directory) -> None:
    found = understand("which sites need atention?", directory, NOW, BERLIN)
    assert found.notes == ("read 'atention' as 'attention'",)


@pytest.mark.parametrize(
    ("first", "then", "wanted"),
    [
        ("which sites need attention", "and in Spain?", "attention location:Spain"),
        ("which sites need attention in Spain", "and in Germany?", "attention location:Germany"),
        (
            "which sites need attention in Spain",
            "only high priority",
            "attention location:Spain priority:high",
        ),
        ("which sites are hot", "how many?", "which ?hot count"),
        ("which sites are hot", "what will it cost?", "which ?hot with_cost"),
        ("which sites are hot", "and in Germany", "which location:Germany ?hot"),
        ("how is Alpha", "and Beta?", "site site_beta"),
        ("how is Alpha", "why?", "explain site_alpha"),
        ("how is Alpha", "compare it with Beta", "compare site_alpha site_beta"),
        ("how is Alpha", "what is its temperature?", "value site_alpha #temperature"),
        ("why is Epsilon offline", "since when?", "since site_epsilon ?offline"),
        ("rank by SOH", "and by temperature?", "rank #temperature"),
        ("rank by SOH", "only Spain", "rank location:Spain #soh"),
        ("rank by SOH", "top 3", "rank #soh order=best limit=3"),
        ("compare Alpha and Beta", "and Gamma?", "compare site_alpha site_beta site_gamma"),
        ("compare Alpha and Beta", "on temperature", "compare site_alpha site_beta #temperature"),
        ("which sites need attention", "why is the first one so bad?", "explain site_epsilon"),
        ("which sites need attention", "and the second one?", "site depot_north"),
        ("which sites need attention", "how is Gamma?", "site site_gamma"),
        ("which sites need attention", "which sites are offline?", "which ?offline"),
        (
            "which sites need attention",
            "and yesterday?",
            "attention 2026-03-17T00:00/2026-03-18T00:00",
        ),
        (
            "trend of SOH this week",
            "and of Alpha?",
            "history site_alpha #soh 2026-03-16T00:00/2026-03-18T15:30",
        ),
        (
            "trend of SOH this week",
            "and since yesterday?",
            "history #soh 2026-03-17T00:00/2026-03-18T15:30",
        ),
        ("welche Anlagen brauchen Aufmerksamkeit?", "und in Spanien?", "attention location:Spain"),
        ("welche Anlagen sind offline?", "nur hohe Priorität", "which priority:high ?offline"),
        ("які об'єкти потребують уваги?", "а в Іспанії?", "attention location:Spain"),
    ],
)
async def test_follow_ups(
    answerer: Answerer, directory: Directory, first: str, then: str, wanted: str
) -> None:
    asked = query(first, directory)
    sites = () if asked.period else (await answerer.answer(asked)).sites
    assert compact(query(then, directory, Context(asked, sites))) == wanted


@pytest.mark.parametrize("text", ["why?", "and the ninth one?", "tell me a joke", "and tomorrow?"])
async def test_follow_ups_that_are_none(
    answerer: Answerer, directory: Directory, text: str
) -> None:
    asked = query("which sites need attention", directory)
    context = Context(asked, (await answerer.answer(asked)).sites)
    with pytest.raises(NotUnderstoodError):
        query(text, directory, context)


def test_rules_name_what_there_is() -> None:
    facts = Parts().every_fact() | {
        concept for entries in LANGUAGES.values() for line, _ in entries for concept in line.split()
    }
    facts |= {kind.partition(":")[0] for kind in facts}
    facts |= {concept.removeprefix("intent:") for concept in facts}
    facts |= {concept.replace("comp:", "part:") for concept in facts}
    for section, rules in RULES.items():
        for rule in rules:
            named = {f.removeprefix("!") for term in rule.when.split() for f in term.split("|")}
            assert named <= facts, (section, named - facts)
            assert {*rule.takes.split(), *rule.drops.split()} <= {*Query.__slots__}, section
            assert not rule.go or rule.go in RULES, section
            calls = [change for change in rule.do.split() if change.isidentifier()]
            assert {*calls} <= {*CHANGES}, section


def test_no_phrase_stands_for_two_things_in_one_language() -> None:
    for language, entries in LANGUAGES.items():
        seen: dict[str, str] = {}
        for concepts, phrases in entries:
            for phrase in phrases.split("|"):
                assert phrase == phrase.strip()
                assert phrase, (language, concepts)
                assert seen.setdefault(phrase, concepts) == concepts, (language, phrase)


@pytest.mark.parametrize(
    "name",
    [
        "Hot Springs",
        "Grid Street 5",
        "Monday Market",
        "Worst Case Inn",
        "50% Off Store",
        'Pub "The Hub"',
        "A > B Trading",
        "<img src=x onerror=alert(1)>",
        "Sons & Daughters",
        "Low Temperature Lab",
        "Restart Gym",
        "🥐",
        "名古屋 倉庫",
    ],
)
def test_a_name_of_words_and_signs_that_mean_something_is_a_name(name: str) -> None:
    fleet = Fleet.model_validate(
        {
            "sites": [
                {"id": "s-1", "name": name, "api_endpoint": "http://s1.example.com"},
                {"id": "s-2", "name": "Beta", "api_endpoint": "http://s2.example.com"},
            ]
        }
    )
    directory = Directory(fleet)
    for called in (name, name.lower()):
        assert compact(query(f"how is {called}?", directory)) == "site s-1"
        assert compact(query(f"soc of {called}", directory)) == "value s-1 #soc"
        assert compact(query(f"compare {called} and Beta", directory)) == "compare s-1 s-2"
        assert compact(query(called, directory)) == "site s-1"
