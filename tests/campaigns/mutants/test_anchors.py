"""A planted bug finds its place by name and by syntax; a place that is gone or ambiguous is refused in a sentence."""

import ast
from pathlib import Path

import pytest

from tests.campaigns.mutants.anchors import Anchor, Code, Sources, Stale, Text, Words, schema
from tests.campaigns.mutants.mutant import bug

_SHOP = '''
LIMIT: int = 64 * 1024
_SQL = text(f"""
    UPDATE {_TABLE} SET status = 'done'
    WHERE id = :id
      AND status = 'open'
""")


def guard(name, strict=True):
    """WHERE id = :id AND status = 'open' says what it does."""
    if (
        name.startswith("settle:")  # nobody may
    ):
        raise Refused(name, timeout=5)
    return f"SELECT 1 FROM names WHERE id = {name}"


class Desk:
    @shielded
    async def open(self):
        await self.look()
        try:
            answer = await call(ask, self.id, timeout=3)
        except (Refused, Stuck):
            await self.look()
            return None
        if answer.paid:
            await self.keep(answer)
            done()
'''
_OTHER = "def guard():\n    return 1\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for file, source in {"db/shop.py": _SHOP, "api/doors/__init__.py": _OTHER}.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(source)
    return tmp_path


def _changed(root: Path, *edits: Anchor) -> str:
    """What the edits change, as lines of the normal form: `-` before, `+` after."""
    sources = Sources(root)
    for edit in edits:
        edit.apply(sources)
    told = []
    for file, source in sources.changed.items():
        before = ast.unparse(ast.parse((root / file).read_text())).splitlines()
        after = source.splitlines()
        told += [f"- {line.strip()}" for line in before if line not in after]
        told += [f"+ {line.strip()}" for line in after if line not in before]
    return "\n".join(told)


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        pytest.param(Code("LIMIT", "64*1024", "0"), "- LIMIT: int = 64 * 1024\n+ LIMIT: int = 0", id="a constant"),
        pytest.param(
            Code("shop.guard", "name.startswith('settle:')", "False"),
            "- if name.startswith('settle:'):\n+ if False:",
            id="an expression, whatever its layout and quotes",
        ),
        pytest.param(
            Code("shop.guard", "if name.startswith('settle:'): ...", ""),
            "- if name.startswith('settle:'):\n- raise Refused(name, timeout=5)\n+ pass",
            id="a statement with whatever is in it",
        ),
        pytest.param(
            Code("Desk", "if answer.paid: ...", "if answer.complete: ..."),
            "- if answer.paid:\n+ if answer.complete:",
            id="a condition, its body kept",
        ),
        pytest.param(
            Code("Desk", "timeout=3", "timeout=None"),
            "- answer = await call(ask, self.id, timeout=3)\n+ answer = await call(ask, self.id, timeout=None)",
            id="a keyword argument",
        ),
        pytest.param(
            Code("Desk", "timeout=3", ""),
            "- answer = await call(ask, self.id, timeout=3)\n+ answer = await call(ask, self.id)",
            id="a keyword argument taken away",
        ),
        pytest.param(
            Code("Desk.open", "call(ask, ...)", "shout(...)"),
            "- answer = await call(ask, self.id, timeout=3)\n+ answer = await shout(self.id, timeout=3)",
            id="a call and the rest of its arguments",
        ),
        pytest.param(Code("Desk.open", "shielded", ""), "- @shielded", id="a decorator"),
        pytest.param(
            Code("Desk.open", "(Refused, Stuck)", "Stuck"),
            "- except (Refused, Stuck):\n+ except Stuck:",
            id="what is excepted",
        ),
        pytest.param(
            Code("Desk.open", "await self.look()\nreturn None", "raise"),
            "- await self.look()\n- return None\n+ raise",
            id="statements that follow each other",
        ),
        pytest.param(
            Code("Desk.open", "await self.keep(answer)\ndone()", ""),
            "- await self.keep(answer)\n- done()\n+ pass",
            id="all of a body",
        ),
        pytest.param(
            Code("shop.guard", "raise Refused(name, timeout=...)", "raise Odd(timeout=...)"),
            "- raise Refused(name, timeout=5)\n+ raise Odd(timeout=5)",
            id="an expression kept",
        ),
    ],
)
def test_syntax_is_replaced_in_the_definition_that_is_named(root: Path, edit: Code, expected: str) -> None:
    assert _changed(root, edit) == expected


def test_strings_are_replaced_whatever_their_white_space_and_docstrings_are_left(root: Path) -> None:
    sources = Sources(root)
    Text("db.shop", "WHERE id = :id AND status = 'open'", "WHERE id = :id").apply(sources)
    assert "WHERE id = :id\\n" in sources.changed["db/shop.py"]
    assert sources.changed["db/shop.py"].count("'open'") == 1
    assert "- return f'SELECT 1" in _changed(root, Text("shop.guard", "FROM names", ""))


def test_edits_of_one_file_add_up(root: Path) -> None:
    told = _changed(root, Code("LIMIT", "1024", "1"), Code("Desk.open", "shielded", ""))
    assert told == "- LIMIT: int = 64 * 1024\n- @shielded\n+ LIMIT: int = 64 * 1"


def test_the_schema_is_changed_in_every_migration_that_says_it(root: Path) -> None:
    for name in ("v0001_a", "v0002_b"):
        path = root / f"db/migrations/versions/{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('SQL = """IF  OLD.state\n = 1"""\n')
    sources = Sources(root)
    schema("IF OLD.state = 1", "IF FALSE").apply(sources)
    assert list(sources.changed.values()) == ['SQL = """IF FALSE"""\n'] * 2


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (Code("gard", "1", "2"), "nothing is called gard"),
        (Code("guard", "1", "2"), "several things are called guard: db.shop.guard, api.doors.guard"),
        (Code("Desk", "self.shout()", "1"), "has no 'self.shout\\(\\)' any more"),
        (Code("Desk", "await self.look()", ""), "2 times: write more"),
        (Code("Desk", "answer.paid", "answer . paid"), "changes nothing"),
        (Code("Desk", "if answer.paid", ""), "no Python"),
        (Code("Desk", "answer.paid", "pass"), "cannot become 'pass'"),
        (Text("Desk", "UPDATE", ""), "has no 'UPDATE'"),
        (Words("api/**/*.js", "a", "b"), "no file is api"),
        (Words("api/**/*.py", "zz", "b"), "api.* has no 'zz'"),
        (schema("a", "b"), "no file is"),
    ],
)
def test_a_place_that_is_gone_or_ambiguous_is_refused_in_a_sentence(root: Path, edit: Anchor, told: str) -> None:
    with pytest.raises(Stale, match=told):
        edit.apply(Sources(root))


def test_a_test_is_found_by_its_name_and_by_its_file_where_there_are_two(tmp_path: Path) -> None:
    for file, name in (("a", "test_one"), ("b", "test_two"), ("c", "test_two")):
        (tmp_path / "tests" / file).mkdir(parents=True)
        (tmp_path / "tests" / file / "test_it.py").write_text(f"async def {name}():\n    pass\n")
    tests = ("test_one", "tests/c/test_it.py::test_two")
    assert bug("b", breaks="", tests=tests).selections(tmp_path) == ("tests/a/test_it.py::test_one", tests[1])
    for wrong, told in (("test_two", "name the one file"), ("test_three", "does not exist")):
        with pytest.raises(Stale, match=told):
            bug("b", breaks="", tests=wrong).selections(tmp_path)
