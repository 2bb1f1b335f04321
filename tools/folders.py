"""Where everything lives. All that the tools make is under `.dev`, which git ignores."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ADDONS = ROOT / "addons"
MADE = ROOT / ".dev"
VENV = MADE / "venv"
PYTHON = VENV / "bin" / "python"
ODOO = MADE / "odoo"
POSTGRES = MADE / "postgres"
DOWNLOADS = MADE / "downloads"
LOG = MADE / "log"
DEMO = MADE / "demo"
STAMPS = MADE / "stamps"

OUR_ADDONS = ("prepaid_energy", "prepaid_energy_meter")
