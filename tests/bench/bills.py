"""A year of quarter-hourly readings split and rated, against an independent calculator's year.

Both must price the same bills, as in tests/pure/test_engine_against_sam.py. The loads are those of
the package simbench (2016; ODbL-1.0): households and shops, in parts of their peak, here taken as
kW. SAM has no leap day, so 29 February is left out; its year begins on a Monday, so the profile is
laid on 2018 from its own first quarter on.
"""

import csv
import io
import subprocess
import sys
import zipfile
from decimal import Decimal
from pathlib import Path

from tools import folders
from tools.measuring import Figure, compare, seconds

NAME = "bills"
PACKAGE = "simbench==1.6.3"
FILE = "simbench/networks/1-complete_data-mixed-all-0-sw/LoadProfile.csv"
PROFILES = ("H0-A", "H0-L", "G1-B", "G4-H")
QUARTERS = 8760 * 4
LEAP_DAY = slice(59 * 96, 60 * 96)
PEAK = Decimal(8)  # kW


def run(_context) -> list[Figure]:
    """Price each profile by every case of the comparison; then time one of them."""
    sys.path.insert(0, str(folders.ROOT / "tests" / "pure"))
    sys.path.insert(0, str(folders.ADDONS / "prepaid_energy"))
    from sam import agrees, monthly_bills, our_bills, version
    from test_engine_against_sam import CASES, SHANGHAI

    loads = _loads()
    for use in loads.values():
        for case in CASES.values():
            agrees(case, use)
    use = loads["H0-L"]
    tariff = version(SHANGHAI)
    pairs = compare(
        lambda: QUARTERS / seconds(lambda: our_bills(tariff, use)),
        lambda: QUARTERS / seconds(lambda: monthly_bills(SHANGHAI, use)),
    )
    return [
        Figure(
            what=f"a year of quarter-hours priced; {len(loads) * len(CASES)} bills of a year equal",
            figure=pairs.figure,
            yardstick=pairs.yardstick,
            ratio=pairs.ratio,
            unit="readings/s",
        )
    ]


def _loads() -> dict[str, list[Decimal]]:
    """Return kWh a quarter-hour of each profile, 35,040 of them."""
    with zipfile.ZipFile(_wheel()) as wheel, wheel.open(FILE) as file:
        rows = list(csv.DictReader(io.TextIOWrapper(file), delimiter=";"))
    del rows[LEAP_DAY]
    return {
        name: [PEAK * Decimal(row[f"{name}_pload"]) / 4 for row in rows[:QUARTERS]]
        for name in PROFILES
    }


def _wheel() -> Path:
    """Fetch the package once; it is large and only this benchmark reads it."""
    folder = folders.DOWNLOADS / "simbench"
    found = list(folder.glob("*.whl"))
    if not found:
        command = [folders.PYTHON, "-m", "pip", "download", "--quiet", "--no-deps"]
        subprocess.run([*command, "--dest", folder, PACKAGE], check=True)
        found = list(folder.glob("*.whl"))
    return found[0]
