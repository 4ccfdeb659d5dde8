"""The table follows the code: what it would plant is there to be replaced, and what shall catch it exists."""

import pytest

from tests.campaigns.mutants.campaign import ROOT
from tests.campaigns.mutants.mutant import Mutant
from tests.campaigns.mutants.table import MUTANTS


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_defence_is_where_the_table_says_and_its_absence_compiles(mutant: Mutant) -> None:
    for file, source in mutant.mutated(ROOT).items():
        if file.endswith(".py"):
            compile(source, file, "exec")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_tests_that_shall_catch_it_exist(mutant: Mutant) -> None:
    assert mutant.selections(ROOT)


def test_no_two_mutants_have_one_name() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 24
