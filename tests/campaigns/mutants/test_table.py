"""The table follows the code: what it would plant is there to be replaced, and what shall catch it exists."""

import re
from pathlib import Path

import pytest

from tests.campaigns.mutants.campaign import ROOT
from tests.campaigns.mutants.mutant import Edit, Mutant, Stale
from tests.campaigns.mutants.table import MUTANTS


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_defence_is_where_the_table_says_and_its_absence_compiles(mutant: Mutant) -> None:
    for file, source in mutant.mutated(ROOT).items():
        compile(source, file, "exec")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_tests_that_shall_catch_it_exist(mutant: Mutant) -> None:
    for selection in mutant.tests:
        file, _, name = selection.partition("::")
        assert re.search(rf"^(async )?def {re.escape(name)}\(", (ROOT / file).read_text(), re.MULTILINE), selection


def test_no_two_mutants_have_one_name() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 24


def test_a_mutant_whose_place_is_gone_or_ambiguous_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = 1\nx = 1\n")
    for old in ("y", "x = 1"):
        with pytest.raises(Stale):
            Mutant("m", (Edit("a.py", old, "z"),), "nothing", ()).mutated(tmp_path)
