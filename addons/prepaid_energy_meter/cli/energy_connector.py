import gc
import logging
import sys

from odoo.cli import Command
from odoo.modules import load_script
from odoo.modules.registry import Registry

command_line = load_script("prepaid_energy/command_line.py", "prepaid_energy_command_line")
_logger = logging.getLogger(__name__)


class EnergyConnector(Command):
    """Read and switch the meters of a database, until stopped."""

    name = "energy_connector"

    def run(self, args):
        until_idle = {
            "action": "store_true",
            "help": "Stop when every due meter has been read, stored and settled and no order "
            "waits",
        }
        options, database = command_line.parse(
            self, args, "Connector", ("--until-idle", until_idle)
        )
        if "energy.gateway" not in Registry(database):
            sys.exit(f"The add-on prepaid_energy_meter is not installed on {database}")
        # Loaded only now: before, the add-ons' path is not known.
        from odoo.addons.prepaid_energy_meter.connector import Connector

        # Odoo itself stays: looking through all of it for garbage would stop every bus meanwhile.
        gc.collect()
        gc.freeze()
        Connector(database, until_idle=options.until_idle, handle_signals=True).run()
