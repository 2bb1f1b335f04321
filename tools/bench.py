"""`./dev bench [NAME] [--json]`: run the benchmarks of tests/bench.

A benchmark is a module with `NAME` and `run(context) -> list[Figure]` (tools/measuring.py).
"""

import argparse
import dataclasses
import importlib.util
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType

from . import databases, folders, postgres
from .locks import alone
from .measuring import Figure
from .progress import Refusal, complain, say

FOLDER = folders.ROOT / "tests" / "bench"
TEMPLATE = "energy_bench_template"


class Context:
    """What a benchmark may use."""

    seed = 20260101

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._has_template = False

    @contextmanager
    def database(self, name: str) -> Iterator[str]:
        """A fresh database with the add-ons installed, without their demo data.

        Its name is `energy_bench_<name>`; it waits for the disk at commit as a real one does.
        """
        if not self._has_template:
            self._stack.enter_context(databases.with_our_addons(TEMPLATE, demo=False))
            self._has_template = True
        full_name = f"energy_bench_{name}"
        databases.copy(TEMPLATE, full_name)
        try:
            yield full_name
        finally:
            databases.drop(full_name)

    def close(self) -> None:
        self._stack.close()


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"bench_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def benchmarks() -> dict[str, ModuleType]:
    # Benchmarks share helpers that lie beside them, and use what needs no Odoo as the tests do.
    for folder in (folders.ROOT / "addons/prepaid_energy_meter", FOLDER):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    modules = [_load(path) for path in sorted(FOLDER.glob("[a-z]*.py"))]
    return {module.NAME: module for module in modules if hasattr(module, "NAME")}


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def table(figures: list[Figure]) -> str:
    """The figures as aligned text."""
    rows = [("what", "figure", "yardstick", "unit", "ratio", "must", "aim", "")]
    for figure in figures:
        sign = "≤" if figure.smaller_is_better else "≥"
        bounds = [
            "-" if bound is None else f"{sign} {_number(bound)}"
            for bound in (figure.must, figure.aim)
        ]
        missed = "MUST MISSED" if not figure.meets(figure.must) else ""
        if not missed and not figure.meets(figure.aim):
            missed = "aim missed"
        numbers = (_number(figure.figure), _number(figure.yardstick))
        rows.append((figure.what, *numbers, figure.unit, _number(figure.ratio), *bounds, missed))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev bench")
    parser.add_argument("name", nargs="?", help="of one benchmark; all of them otherwise")
    parser.add_argument("--json", action="store_true", help="print one object a line")
    options = parser.parse_args(arguments)
    known = benchmarks()
    if options.name and options.name not in known:
        raise Refusal(f"No benchmark {options.name!r}; there are: {', '.join(known) or 'none'}.")
    chosen = [known[options.name]] if options.name else list(known.values())
    context = Context()
    figures: list[Figure] = []
    with alone("bench", "Another ./dev bench runs in this checkout."), postgres.running():
        try:
            for benchmark in chosen:
                figures += benchmark.run(context)
        finally:
            context.close()
    if options.json:
        for figure in figures:
            say(json.dumps(dataclasses.asdict(figure), ensure_ascii=False))
    else:
        say(table(figures))
    if missed := [figure.what for figure in figures if not figure.meets(figure.must)]:
        complain(f"missed a must: {', '.join(missed)}")
        return 1
    return 0
