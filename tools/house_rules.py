"""House rules that no off-the-shelf linter knows.

1. The functional cores (`engine`, `modbus`, `simulator`) import the standard library and their own
   package, and nothing else but what PURE_PACKAGES names.
2. Only the files of CLOCKS ask for the date or the time of day; everything else asks them.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

# Package name -> other packages it may import: anywhere, or in the file that is named.
PURE_PACKAGES = {
    "engine": {},
    "modbus": {"pymodbus": "*", "serial": "serial_link.py", "uvloop": "loop.py"},
    "simulator": {"psycopg2": "clock.py", "uvloop": "__main__.py"},
}
CLOCKS = frozenset(
    {
        "addons/prepaid_energy/clock.py",
        # The function energy_now() of the database.
        "addons/prepaid_energy/models/energy_clock.py",
        "addons/prepaid_energy_meter/modbus/monotonic.py",
        "addons/prepaid_energy_meter/simulator/clock.py",
    }
)
# Attribute chains that ask for the time, by how they end.
TIME_CALLS = frozenset(
    {
        "datetime.now",
        "datetime.utcnow",
        "datetime.today",
        "date.today",
        "time.time",
        "time.time_ns",
        "time.monotonic",
        "time.monotonic_ns",
        "time.perf_counter",
        "time.perf_counter_ns",
        "time.clock_gettime",
        "Date.today",
        "Date.context_today",
        "Datetime.now",
        "Datetime.today",
        "cr.now",
        "cursor.now",
    }
)
# With these, the current time is what a call without a moment means.
TIME_CALLS_WITHOUT_ARGUMENT = {"time.localtime": 0, "time.gmtime": 0, "time.strftime": 1}
TIME_MODULE_NAMES = frozenset(name.partition(".")[2] for name in TIME_CALLS if "time." in name[:5])
SQL_TIME = re.compile(
    r"\b(now|clock_timestamp|statement_timestamp|transaction_timestamp|timeofday)\s*\(\s*\)"
    r"|\b(current_timestamp|current_date|current_time|localtimestamp)\b",
    re.IGNORECASE,
)
SCRIPT_TIME = re.compile(
    r"\bcontext_today\s*\(|\bdatetime\.(now|utcnow|today)\b|\bdate\.today\b|\btime\.strftime\b"
    r"|\bDateTime\.(now|local|utc)\s*\(\s*\)|\bDate\.now\s*\(|\bnew Date\s*\(\s*\)"
)


class Finding(NamedTuple):
    """One breach of a rule."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


def _chain(node: ast.AST) -> str:
    """`a.b.c` of an attribute chain; a call or index inside it is left out."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            return f"{_chain(value)}.{name}".lstrip(".")
    return ""


def _pure_package(path: PurePosixPath) -> tuple[str, int] | None:
    """The functional core a file belongs to, and how many folders below its top it is."""
    parts = path.parts
    if len(parts) > 3 and parts[0] == "addons" and parts[2] in PURE_PACKAGES:
        return parts[2], len(parts) - 4
    return None


def check_imports(path: str, tree: ast.AST) -> Iterator[Finding]:
    """Yield the imports of a functional core that lead out of it."""
    if (found := _pure_package(PurePosixPath(path))) is None:
        return
    package, depth = found
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                modules = [alias.name for alias in names]
            case ast.ImportFrom(level=0, module=module):
                modules = [module]
            case ast.ImportFrom(level=level) if level > depth + 1:
                yield Finding(path, node.lineno, f"{package} imports from outside its own package")
                continue
            case _:
                continue
        for module in modules:
            top = module.partition(".")[0]
            where = PURE_PACKAGES[package].get(top)
            allowed = where == "*" or where == PurePosixPath(path).name
            if top not in sys.stdlib_module_names and not allowed:
                yield Finding(path, node.lineno, f"{package} must not import {module}")


def _docstrings(tree: ast.AST) -> set[int]:
    """The identities of the docstring nodes."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, kinds)
        and node.body
        and isinstance(node.body[0], ast.Expr)
        and isinstance(node.body[0].value, ast.Constant)
    }


def _may_ask_for_time(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return path in CLOCKS or parts[0] != "addons" or "tests" in parts


def check_time(path: str, tree: ast.AST) -> Iterator[Finding]:
    """Yield every place that asks for the date or the time of day."""
    if _may_ask_for_time(path):
        return
    ask = "ask the clock (clock.py), not {}"
    docstrings = _docstrings(tree)
    needed_arguments = {
        id(node.func): len(node.args) for node in ast.walk(tree) if isinstance(node, ast.Call)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Attribute():
                name = ".".join(_chain(node).lstrip("_").split(".")[-2:])
                enough = TIME_CALLS_WITHOUT_ARGUMENT.get(name)
                if name in TIME_CALLS or (
                    enough is not None and needed_arguments.get(id(node), 0) <= enough
                ):
                    yield Finding(path, node.lineno, ask.format(name))
            case ast.ImportFrom(module="time", names=names):
                for alias in names:
                    if alias.name in TIME_MODULE_NAMES:
                        yield Finding(path, node.lineno, ask.format(f"time.{alias.name}"))
            case ast.Constant(value=str(text)) if id(node) not in docstrings:
                if found := SQL_TIME.search(text):
                    yield Finding(path, node.lineno, ask.format(f"SQL {found[0]}"))


def check_python(path: str, source: str) -> list[Finding]:
    """Apply all rules to one Python file; `path` is relative to the checkout, with slashes."""
    tree = ast.parse(source, path)
    return [*check_imports(path, tree), *check_time(path, tree)]


def check_other(path: str, source: str) -> list[Finding]:
    """Apply the rule of time to a view, script or SQL file."""
    if _may_ask_for_time(path):
        return []
    pattern = SQL_TIME if path.endswith(".sql") else SCRIPT_TIME
    return [
        Finding(path, number, f"ask the clock (clock.py), not {found[0]}")
        for number, line in enumerate(source.splitlines(), 1)
        if (found := pattern.search(line))
    ]


def check_tree(root: Path) -> list[Finding]:
    """Apply the rules to all add-ons below a checkout."""
    findings = []
    for file in sorted((root / "addons").rglob("*")):
        path = file.relative_to(root).as_posix()
        if file.suffix == ".py":
            findings += check_python(path, file.read_text())
        elif file.suffix in (".xml", ".js", ".sql") and "/lib/" not in path:
            findings += check_other(path, file.read_text())
    return findings
