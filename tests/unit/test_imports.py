"""What import-linter's layers do not see: files that import each other in a circle, and files that are in no layer."""

import ast
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]


def test_no_files_import_each_other_in_a_circle() -> None:
    house = grimp.build_graph(*LINTER["root_packages"], cache_dir=None)
    imports = {file: house.find_modules_directly_imported_by(file) for file in house.modules}
    TopologicalSorter(imports).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("package", ["api", "worker"])
def test_every_file_has_its_layer(package: str) -> None:
    named = {
        name.strip()
        for contract in LINTER["contracts"]
        for layer in contract.get("layers", [])
        for name in layer.split("|")
        if name.strip().startswith(f"{package}.")
    }
    files = [path.relative_to(ROOT) for path in (ROOT / package).rglob("*.py")]
    modules = {".".join(file.with_suffix("").parts) for file in files if file.name != "__init__.py"}
    assert named, "the contract of the package's own layers"
    assert not {module for module in modules if not any(f"{module}.".startswith(f"{name}.") for name in named)}


def test_routes_and_pages_have_only_types_of_the_database() -> None:
    """What reads or writes is behind what both call; import-linter sees modules, not what is taken from them."""
    taken = {
        f"{path.relative_to(ROOT)}: {name.name}"
        for folder in ("routes", "web", "middleware")
        for path in (ROOT / "api" / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "db"
        for name in node.names
    }
    assert taken, "the types of db.catalogue and db.order_pages"
    assert not {one for one in taken if not one.partition(": ")[2][0].isupper()}
