"""What import-linter's layers do not see: files of one folder that import each other in a circle."""

import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[2]


def test_no_files_import_each_other_in_a_circle() -> None:
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
    house = grimp.build_graph(*packages, cache_dir=None)
    imports = {file: house.find_modules_directly_imported_by(file) for file in house.modules}
    TopologicalSorter(imports).prepare()  # raises CycleError, which names the circle
