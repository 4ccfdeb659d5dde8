"""The table follows the code: what it would plant is there to be replaced, and what shall catch it exists."""

import pytest

from tests.campaigns.mutants.anchors import Sources
from tests.campaigns.mutants.campaign import ROOT
from tests.campaigns.mutants.mutant import Mutant
from tests.campaigns.mutants.table import MUTANTS, ROOMS


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_defence_is_where_the_table_says_and_its_absence_compiles(mutant: Mutant) -> None:
    for file, source in mutant.mutated(ROOT).items():
        if file.endswith(".py"):
            compile(source, file, "exec")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_tests_that_shall_catch_it_exist(mutant: Mutant) -> None:
    assert mutant.selections(ROOT)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_it_is_in_the_file_of_the_room_that_it_hurts_first(mutant: Mutant) -> None:
    sources = Sources(ROOT)
    mutant.edits[0].apply(sources)
    file = min(sources.changed)
    place = max((place for place in ROOMS if file.startswith(place)), key=len, default="")
    assert place, f"{file}: say in ROOMS whose bugs these are"
    assert mutant in ROOMS[place].BUGS, f"{file}: this belongs into {ROOMS[place].__file__}"


def test_every_place_exists() -> None:
    assert [place for place in ROOMS if not (ROOT / place).exists()] == []


def test_no_two_mutants_have_one_name() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 24
