"""Planting defects, as the add-on's own tests do; these need Odoo to be imported, this does not."""

import importlib.util
from pathlib import Path

_FILE = Path(__file__).parents[2] / "addons" / "prepaid_energy" / "tests" / "planting.py"
_spec = importlib.util.spec_from_file_location("planting", _FILE)
_planting = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_planting)

planted = _planting.planted
