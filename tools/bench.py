"""`./dev bench [NAME] [--json]`: run the benchmarks of tests/bench.

A benchmark is a module with `NAME` and `run(context) -> list[Figure]` (tools/measuring.py).
"""

import argparse
import dataclasses
import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from . import databases, folders, postgres
from .locks import alone
from .measuring import Figure
from .progress import Refusal, complain, say, step

FOLDER = folders.ROOT / "tests" / "bench"
TEMPLATE = "energy_bench_template"


@dataclass
class Context:
    """What a benchmark may use."""

    seed: int = 20260101
    _databases: list[str] = field(default_factory=list)

    @contextmanager
    def database(self, name: str) -> Iterator[str]:
        """A fresh database with the add-ons installed, without their demo data."""
        if not databases.exists(TEMPLATE):
            with step("Installing the add-ons for the benchmarks"):
                databases.copy(databases.TEMPLATE, TEMPLATE)
                log = folders.LOG / "bench-install.log"
                databases.install(TEMPLATE, folders.OUR_ADDONS, log, demo=False)
            self._databases.append(TEMPLATE)
        full_name = f"energy_bench_{name}"
        databases.copy(TEMPLATE, full_name)
        try:
            yield full_name
        finally:
            databases.drop(full_name)

    def close(self) -> None:
        for name in self._databases:
            databases.drop(name)


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"bench_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def benchmarks() -> dict[str, ModuleType]:
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
        databases.ensure_template()
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
