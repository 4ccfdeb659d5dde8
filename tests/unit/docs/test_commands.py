"""Whoever copies a command finds the program, its subcommand and its options there."""

import re
import shlex
from importlib.util import find_spec
from typing import Any

import typer

from bench.__main__ import app as bench
from cli.main import app
from runtime.search_attributes import SEARCH_ATTRIBUTES
from tests.unit.docs.markdown import ROOT, Document, document, documents

_MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
_TARGETS = set(re.findall(r"^([a-z-]+):.*## ", _MAKEFILE, re.MULTILINE))


def _every(document: Document) -> list[str]:
    """Commands in fences and in inline code."""
    return document.commands() + document.code


def _checkout_commands() -> list[tuple[str, list[str]]]:
    return [
        (str(each), shlex.split(match[1], comments=True))
        for each in documents()
        for line in _every(each)
        if (match := re.match(r"(?:\.venv/bin/)?checkout ([a-z].*)", line))
    ]


def test_every_make_target_that_is_named_exists() -> None:
    for each in documents():
        for line in _every(each):
            if match := re.match(r"(?:[A-Z_]+=\S+ )*make ([a-z-]+)", line):
                assert match[1] in _TARGETS, f"{each}: make {match[1]}"


def test_the_readme_names_every_target() -> None:
    named = {match[1] for line in document("README.md").code if (match := re.fullmatch("make ([a-z-]+)", line))}
    assert named == _TARGETS - {"help"}


def test_every_checkout_command_exists_with_its_options() -> None:
    group: Any = typer.main.get_command(app)
    commands = _checkout_commands()
    assert len(commands) >= 8
    for where, words in commands:
        command = group.commands.get(words[0])
        assert command is not None, f"{where}: checkout {words[0]}"
        known = {option for parameter in command.load().params for option in parameter.opts}
        for word in words[1:]:
            if word.startswith("-"):
                assert word.partition("=")[0] in known, f"{where}: checkout {words[0]} {word}"


def test_the_options_in_a_targets_arguments_exist() -> None:
    group: Any = typer.main.get_command(app)
    comparison: Any = typer.main.get_command(bench)
    loaded = {name: group.commands[name].load() for name in ("demo", "reset")}
    targets = {**loaded, "bench": comparison.commands["run"]}
    for each in documents():
        for target, arguments in re.findall(r'make (demo|bench|reset) ARGS="([^"]+)"', each.text):
            known = {option for parameter in targets[target].params for option in parameter.opts}
            assert {word for word in arguments.split() if word.startswith("-")} <= known, f"{each}: {arguments}"


def test_every_module_that_is_run_exists() -> None:
    for each in documents():
        for line in _every(each):
            for module in re.findall(r"python3? -m ([a-z_]+)", line):
                assert find_spec(module) is not None, f"{each}: {module}"


def test_the_search_attributes_to_register_are_those_of_the_workflow() -> None:
    lines = [line for line in document("docs/real-parts.md").commands() if "search-attribute create" in line]
    told = set(re.findall(r"--name (\w+) --type (\w+)", "\n".join(lines)))
    assert told == {(attribute.name, "Keyword") for attribute in SEARCH_ATTRIBUTES}


def test_the_guides_own_commands_are_in_the_readme() -> None:
    commands = _every(document("README.md"))
    assert "curl -X POST http://localhost:8082/checkout" in commands
    assert "curl -X POST http://localhost:8082/checkout/abcde-12345" in commands
