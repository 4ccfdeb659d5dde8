"""The upgrade from the last tagged release, rehearsed with real processes of both. The whole is `make upgrade`."""

from pathlib import Path

import pytest

from tests.campaigns.upgrade.rehearsal import rehearse
from tests.campaigns.upgrade.release import NoRelease, last_release, unpack
from tests.support.stacks import data_dir


@pytest.mark.timeout(600)
async def test_the_last_release_sells_on_the_new_schema_and_what_it_began_goes_on() -> None:
    with data_dir() as folder:
        old = folder / "old"
        old.mkdir(mode=0o755)
        try:
            unpack(last_release(), old)
        except NoRelease as reason:
            # There is nothing to upgrade from before the first tag, nor in a clone or an archive without tags: what it
            # rehearses then needs a commit by name (`make upgrade ARGS="--from COMMIT"`).
            pytest.skip(str(reason))
        await rehearse(folder / "stack", old, print, versions=True)


def test_what_is_no_release_is_told_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(NoRelease, match="no-such-commit"):
        unpack("no-such-commit", tmp_path)
