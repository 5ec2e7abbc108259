"""The rules of the house, held against every file of it."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import isletsim
from isletsim.bibliography import read
from isletsim.data_files import KINDS, bibliography, data_folder, listing, title

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = REPOSITORY / "isletsim"

# Each module imports only from those above it. A new module joins at the place where it reads what stands above.
READING_ORDER = [
    "errors",
    "cache",
    "serialization",
    "data_files",
    "bibliography",
    "units",
    "machine",
    "statistics",
    "arguments",
    "language",
    "flat",
    "typesetting",
    "composition",
    "codegen",
    "solver",
    "ensemble",
    "dosing",
    "trajectory",
    "figures",
    "results",
    "patient",
    "scenario",
    "cohort",
    "model_ensemble",
    "model",
    "multiscale",
    "challenges",
    "evidence",
    "study",
    "sbml",
    "validation",
    "calibration",
    "api",
    "explorer",
    "outcomes",
    "cli",
]
FACE = {"__init__", "__main__"}  # the door of the package stands outside of the row
HEAVY = {"numba", "llvmlite", "scipy", "pint", "matplotlib", "numpy"}
LONGEST_MODULE = 450

modules = sorted(PACKAGE.rglob("*.py"))
each_module = pytest.mark.parametrize("path", modules, ids=[str(path.relative_to(PACKAGE)) for path in modules])


def word_of(path: Path) -> str:
    """The word of the reading order that a source file belongs to."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imported(path: Path) -> Iterator[str]:
    """The words of the reading order that a source file imports, at its head or inside its functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            parts = (node.module or "").split(".")
            if parts[0] == "isletsim":
                yield from [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            dotted = [alias.name.split(".") for alias in node.names]
            yield from (parts[1] if len(parts) > 1 else "" for parts in dotted if parts[0] == "isletsim")


@each_module
def test_each_module_imports_only_from_those_above_it(path):
    word = word_of(path)
    if word in FACE:
        return
    assert word in READING_ORDER, f"give {word} its place in the reading order"
    above = READING_ORDER[: READING_ORDER.index(word)]
    below = {each for each in imported(path) if each not in above and each not in {word, "__version__"}}
    assert not below, f"{path} reads {below}, which stand below it"


def test_every_word_of_the_reading_order_is_a_module():
    assert sorted(READING_ORDER) == sorted({word_of(path) for path in modules} - FACE)


@pytest.mark.parametrize("path", [path for path in modules if path.name == "__init__.py"], ids=str)
def test_no_function_of_a_package_has_the_name_of_a_module_in_it(path):
    # Importing the module would put it in the place of the function; `reference` of the compiler once vanished so.
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert not functions & {other.stem for other in path.parent.glob("*.py")}


def imported_modules(path: Path) -> set[Path]:
    """The source files of the package that a source file imports, at its head, for types, or inside its functions."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("isletsim."):
            room = REPOSITORY.joinpath(*(node.module or "").split("."))
            for alias in node.names:
                candidates = [room / f"{alias.name}.py", room / alias.name / "__init__.py", room / "__init__.py"]
                candidates.append(room.with_suffix(".py"))
                found.add(next(each for each in candidates if each in modules))
    return found - {path}


def test_no_module_imports_itself_by_way_of_others():
    waiting = {path: imported_modules(path) for path in modules}
    while free := [path for path, needed in waiting.items() if not needed & waiting.keys()]:
        for path in free:
            del waiting[path]
    assert not waiting, f"a circle is among {sorted(str(path.relative_to(PACKAGE)) for path in waiting)}"


def test_every_class_has_a_name_of_its_own():
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in modules]
    names = [node.name for tree in trees for node in tree.body if isinstance(node, ast.ClassDef)]
    assert not {name for name in names if names.count(name) > 1}


def test_the_normal_point_of_95_percent_is_written_once():
    assert [path.name for path in modules if "1.95" + "99" in path.read_text(encoding="utf-8")] == ["statistics.py"]


@each_module
def test_no_module_is_too_long_to_be_read_at_once(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE


@each_module
def test_no_text_is_evaluated_as_code(path):
    forbidden = {"eval", "__import__"} | (set() if word_of(path) == "codegen" else {"exec", "compile"})
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        called = node.func.id if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else ""
        assert called not in forbidden, f"{path}:{node.lineno} calls {called}"


@pytest.mark.parametrize("code", ["import isletsim", "import isletsim.cli; isletsim.cli.main(['--help'])"])
def test_the_door_opens_without_the_heavy_libraries(code):
    ask = f"import sys\ntry:\n    {code}\nexcept SystemExit as done:\n    assert not done.code\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    loaded = {name.partition(".")[0] for name in run.stdout.splitlines()[-1].split()}
    assert "isletsim" in loaded
    assert not loaded & HEAVY


def test_every_public_name_is_there():
    assert set(isletsim.__all__) <= set(dir(isletsim))
    for name in isletsim.__all__:
        assert getattr(isletsim, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'load_models'"):
        _ = isletsim.load_models


def texts() -> Iterator[tuple[Path, str]]:
    """Every text of the project that a person wrote."""
    folders = ["isletsim", "models", "scenarios", "seeds", "benchmarks", "tests", "docs", ".ci"]
    paths = [path for path in REPOSITORY.iterdir() if path.is_file() and path.name != ".git"]  # a worktree has a file
    paths += [path for folder in folders for path in (REPOSITORY / folder).rglob("*") if path.is_file()]
    for path in paths:
        if path.suffix not in {".png", ".svg", ".pyc", ".npz"}:
            yield path, path.read_text(encoding="utf-8")


def test_no_file_names_a_place_outside_of_the_project():
    outside = re.compile(r"\.\./" + r"shared|(?<![\w.:/~<>-])/(?:work|home|root|opt|mnt|Users|private|var)/\w")
    found = {f"{path}: {match[0]}" for path, text in texts() for match in outside.finditer(text)}
    assert not found


def test_every_link_between_documents_leads_somewhere():
    missing = []
    for path, text in texts():
        if path.suffix == ".md":
            links = re.findall(r"\]\(([^)#\s]+)", text)
            missing += [f"{path}: {link}" for link in links if "://" not in link and not (path.parent / link).exists()]
    assert not missing


def sources(table: Any) -> Iterator[str]:
    """Every value of a key ``source`` in nested tables."""
    if isinstance(table, dict):
        for key, value in table.items():
            if key == "source" and isinstance(value, str):
                yield value
            else:
                yield from sources(value)
    elif isinstance(table, list):
        for each in table:
            yield from sources(each)


model_files = sorted(data_folder("models").rglob("*.toml"))


@pytest.mark.parametrize("path", model_files, ids=[path.stem for path in model_files])
def test_every_source_is_in_the_bibliography(path):
    missing = {key for key in sources(tomllib.loads(path.read_text(encoding="utf-8"))) if key not in read()}
    assert not missing, f"{path} cites {missing}, which {bibliography()} does not have"


@pytest.mark.parametrize("kind", KINDS)
def test_names_are_unique_and_every_file_has_a_title(kind):
    files = listing(kind)
    names = [name for name, _ in files]
    assert names
    assert len(names) == len(set(names))
    assert all(title(path) for _, path in files)


def test_a_model_is_found_by_its_name_in_whatever_room_it_is():
    known = {path for kind in KINDS for _, path in listing(kind)}
    elsewhere = [data_folder("models") / name for name in ("explorer", "outcomes")]  # controls and risk engines
    rooms = [
        path for path in model_files if path.parent != data_folder("models") and not set(elsewhere) & set(path.parents)
    ]
    assert rooms
    assert set(rooms) <= known
    models = [name for name, _ in listing("model")]
    others = [name for kind in ("patient", "challenge") for name, _ in listing(kind)]
    assert not set(models) & set(others)


def test_the_version_is_said_once_and_cited_alike():
    cited = re.findall(r"^version: (.+)$", (REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert cited == [isletsim.__version__]


README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["run", "test"])
def test_the_readme_has_its_commands_in_one_line_each(name):
    blocks = re.findall(rf"<!-- command: {name} -->\s*```sh\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 1
    assert len(blocks[0].strip().splitlines()) == 1


def test_the_files_shown_in_the_readme_are_files_of_the_project():
    folders = [data_folder("models"), data_folder("scenarios")]
    whole = [path.read_text(encoding="utf-8") for folder in folders for path in folder.rglob("*.toml")]
    blocks = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    assert blocks
    for piece in (piece for block in blocks for piece in block.strip().split("\n\n")):
        assert any(piece in text for text in whole), f"no file of the project has\n{piece}"


def test_the_python_of_the_readme_runs(tmp_path):
    code = "\n".join(re.findall(r"```python\n(.*?)```", README, re.DOTALL))
    assert code
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=tmp_path, capture_output=True)
