"""What holds for the repository as a whole: packaging, locks, wording and the size of functions."""

import ast
import re
import shutil
import statistics
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import unghost

HOUSE = Path(__file__).parents[1]
SOURCE = HOUSE / "src" / "unghost"
PYPROJECT = (HOUSE / "pyproject.toml").read_text(encoding="utf-8")
LOCKS = sorted((HOUSE / "requirements").glob("*.txt"))

# In pieces, so that this file does not hold what it looks for.
REGISTRY_HOSTS = ["pypi" + ".org", "python" + "hosted", "npm" + "js", "deb" + "ian.org"]
REGISTRY_HOSTS += ["registry" + ".npm"]
WORK_DIRECTORIES = ["work" + "/", "root" + "/.", "tmp" + "/v/"]

VAGUE_NAMES = {"utils", "helpers", "common", "core", "services", "managers"}


def files_of_the_checkout() -> list[Path]:
    """What git tracks, and what it would track if everything here were added."""
    if shutil.which("git") is None or not (HOUSE / ".git").exists():
        pytest.skip("only a git checkout can tell its own files from what was built")
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, check=True).stdout
    return [HOUSE / name for name in listed.split("\0") if name and (HOUSE / name).is_file()]


def lines_matching(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(HOUSE)}:{number}: {line.strip()[:100]}"
        for path in files_of_the_checkout()
        for number, line in enumerate(
            path.read_text(encoding="utf-8", errors="ignore").splitlines(), start=1
        )
        if pattern.search(line)
    ]


def test_no_file_names_the_host_of_a_package_registry():
    hosts = "|".join(re.escape(host) for host in REGISTRY_HOSTS)
    assert lines_matching(re.compile(hosts, re.IGNORECASE)) == []


def test_no_file_names_a_directory_of_one_machine():
    directories = "|".join(re.escape(directory) for directory in WORK_DIRECTORIES)
    assert lines_matching(re.compile(rf"(?:^|[^\w.])/(?:{directories})")) == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_requirement_in_a_lock_is_pinned_and_hashed(lock):
    # A requirement starts at the margin; its hashes follow on indented lines.
    blocks = re.split(r"^(?=[^\s#])", lock.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    loose = [
        block.splitlines()[0]
        for block in blocks
        if not re.match(r"[\w.-]+(\[[\w, -]+\])?==\S+", block) or "--hash=sha256:" not in block
    ]
    assert loose == []
    assert len(blocks) > (1 if lock.name == "fuzz.txt" else 20)  # the fuzzer needs nothing else


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_names_no_place_to_download_from(lock):
    text = lock.read_text(encoding="utf-8")
    assert re.findall(r".*(?:://|--index|--extra-index|--find-links|file:).*", text) == []


def test_the_locks_agree_with_each_other():
    run, dev = (
        dict(
            re.findall(
                r"^([\w.-]+)(?:\[[\w, -]+\])?==(\S+)",
                lock.read_text(encoding="utf-8"),
                re.MULTILINE,
            )
        )
        for lock in (HOUSE / "requirements" / "run.txt", HOUSE / "requirements" / "dev.txt")
    )
    assert {name: dev.get(name) for name in run} == run


def test_every_dependency_is_locked():
    run = (HOUSE / "requirements" / "run.txt").read_text(encoding="utf-8")
    wanted = tomllib.loads(PYPROJECT)["project"]["dependencies"]
    names = [re.split(r"[^\w.-]", requirement)[0] for requirement in wanted]
    assert [
        name for name in names if not re.search(rf"^{name}(\[.*\])?==", run, re.MULTILINE)
    ] == []


def test_the_version_is_the_same_in_both_places():
    assert tomllib.loads(PYPROJECT)["project"]["version"] == unghost.__version__


def test_importing_the_package_loads_none_of_what_it_depends_on():
    code = "import sys, unghost; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split())
    assert loaded & {"aiohttp", "ccxt", "psycopg", "pydantic", "rich", "typer"} == set()
    assert {name for name in loaded if name.startswith("unghost.")} == set()


def test_the_wheel_holds_every_file_of_the_package(tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=HOUSE, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    files = {
        path.relative_to(HOUSE / "src").as_posix()
        for path in SOURCE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert "unghost/py.typed" in files
    assert files - set(zipfile.ZipFile(wheel).namelist()) == set()


def functions() -> list[tuple[int, str]]:
    """Each function's length in lines, without its docstring, and where it is; longest first."""
    found = [
        (lines_of(node) - docstring_lines(node), where(path, node))
        for path in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return sorted(found, reverse=True)


def lines_of(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return 0 if ast.get_docstring(node) is None else lines_of(node.body[0])


def where(path: Path, node: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    return f"{path.relative_to(HOUSE)}:{node.lineno} {node.name}"


def test_functions_are_short():
    found = functions()
    lengths = [length for length, _ in found]
    longest = "\n".join(f"{length:4} {place}" for length, place in found[:15])
    share_under_30 = sum(length < 30 for length in lengths) / len(lengths)
    assert statistics.median(lengths) < 10, longest
    assert share_under_30 >= 0.9, longest


def test_no_module_has_a_name_that_says_nothing():
    modules = [path for path in SOURCE.rglob("*") if path.is_dir() or path.suffix == ".py"]
    assert [str(path) for path in modules if path.stem in VAGUE_NAMES] == []


def ruff_ignores() -> list[str]:
    """The lines of pyproject.toml that ignore a rule of ruff, everywhere or in some files."""
    everywhere = re.search(r"^ignore = \[\n(.*?)^\]", PYPROJECT, re.MULTILINE | re.DOTALL)
    some_files = re.search(
        r"^\[tool\.ruff\.lint\.per-file-ignores\]\n(.*?)^\[", PYPROJECT, re.MULTILINE | re.DOTALL
    )
    assert everywhere is not None
    assert some_files is not None
    return re.findall(r'^.*"[A-Z]+\d*".*$', everywhere[1] + some_files[1], re.MULTILINE)


def test_every_ruff_ignore_gives_its_reason():
    lint = tomllib.loads(PYPROJECT)["tool"]["ruff"]["lint"]
    ignored = len(lint["ignore"]) + sum(map(len, lint["per-file-ignores"].values()))
    lines = ruff_ignores()
    assert [line for line in lines if not re.fullmatch(r'  "[A-Z]+\d*", # \S.{9,}', line)] == []
    assert len(lines) == ignored


def test_every_noqa_names_its_rule_and_gives_its_reason():
    marks = [
        f"{path.relative_to(HOUSE)}: {line.strip()}"
        for path in sorted(SOURCE.rglob("*.py"))
        for line in path.read_text(encoding="utf-8").splitlines()
        if re.search(r"#\s*(noqa|type: ignore|pragma: no)", line)
    ]
    reasoned = re.compile(
        r"#\s*(noqa: [A-Z]+\d+|type: ignore\[[\w-]+\]|pragma: no \w+)[^#]*(?:#|-|:)\s\S"
    )
    assert [mark for mark in marks if not reasoned.search(mark)] == []


def test_make_help_lists_every_target():
    makefile = (HOUSE / "Makefile").read_text(encoding="utf-8")
    (targets,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    run = subprocess.run(["make", "help"], cwd=HOUSE, capture_output=True, text=True, check=True)
    assert re.findall(r"^  make ([\w-]+) +\S", run.stdout, re.MULTILINE) == targets.split()
