"""All benchmarks, one after another, each in a process of its own: `make bench`.

    python -m benchmarks [--small] [--only NAME ...] [--page]

Prints the table of targets and writes docs/performance.md with its pictures from what is kept in
benchmarks/results/. With --small nothing is kept and no page is written; --page only writes it.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import benchmarks
from benchmarks.drawing import file_of, page, picture
from benchmarks.report import RESULTS, Kept, kept_reports, table
from benchmarks.report import main as measured_by

DOCS = Path(__file__).parents[1] / "docs"
DRAWN = "images/performance-*.svg"


def names() -> Iterator[str]:
    """Every module of this package that ends in the `main` of all benchmarks."""
    for found in pkgutil.iter_modules(benchmarks.__path__):
        if found.name == "__main__" or found.ispkg:
            continue
        module = importlib.import_module(f"benchmarks.{found.name}")
        if getattr(module, "main", None) is measured_by and hasattr(module, "measure"):
            yield found.name


def run(name: str, folder: Path, *, small: bool) -> bool:
    """Run one; what it prints is shown. False where it did not end well."""
    command = [sys.executable, "-m", f"benchmarks.{name}", "--results", str(folder)]
    print(f"--- {name}", flush=True)
    return subprocess.run([*command, *(["--small"] if small else [])], check=False).returncode == 0


def write_page(everything: Sequence[Kept], docs: Path) -> None:
    """Write the page and its pictures; pictures that nothing shows any more are removed."""
    for path in docs.glob(DRAWN):
        path.unlink()
    (docs / "images").mkdir(parents=True, exist_ok=True)
    for kept in everything:
        for chart in kept.report.charts:
            (docs / file_of(kept.report.name, chart)).write_text(picture(chart), encoding="utf-8")
    (docs / "performance.md").write_text(page(everything), encoding="utf-8")


def main() -> int:
    """Return 1 where a benchmark broke, never because one was slow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="small sizes: shows that they work")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="run these alone")
    parser.add_argument("--page", action="store_true", help="run nothing, write the page")
    given = parser.parse_args()
    if given.small:
        with tempfile.TemporaryDirectory() as folder:
            return _all(given.only, Path(folder), small=True)
    broken = 0 if given.page else _all(given.only, RESULTS, small=False)
    write_page(kept_reports(), DOCS)
    return broken


def _all(only: Sequence[str] | None, folder: Path, *, small: bool) -> int:
    broken = [name for name in only or names() if not run(name, folder, small=small)]
    print(table(kept.report for kept in kept_reports(folder)))
    if broken:
        print(f"did not end well: {', '.join(broken)}", file=sys.stderr)
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
