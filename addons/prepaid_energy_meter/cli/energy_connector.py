import gc
import logging
import optparse
import sys

import odoo.tools.config
from odoo.cli import Command
from odoo.modules.registry import Registry

_logger = logging.getLogger(__name__)
# Threads that store and settle let the event loop in at least so often (seconds): an order passes
# through it several times, and each time waited for Python's 5 ms.
SWITCH_INTERVAL = 0.0005


class EnergyConnector(Command):
    """Read and switch the meters of a database, until stopped."""

    name = "energy_connector"

    def run(self, args):
        parser = odoo.tools.config.parser
        parser.prog = self.prog
        group = optparse.OptionGroup(parser, "Connector")
        group.add_option(
            "--until-idle",
            action="store_true",
            dest="until_idle",
            help="Stop when every due meter has been read, stored and settled and no order waits",
        )
        parser.add_option_group(group)
        options = odoo.tools.config.parse_config(args, setup_logging=True)
        sys.setswitchinterval(SWITCH_INTERVAL)
        names = odoo.tools.config["db_name"]
        if len(names) != 1:
            sys.exit("The connector works on exactly one database: give it with -d")
        registry = Registry(names[0])
        if "energy.gateway" not in registry:
            sys.exit(f"The add-on prepaid_energy_meter is not installed on {names[0]}")
        # Loaded only now: before, the add-ons' path is not known.
        from odoo.addons.prepaid_energy_meter.connector import Connector

        # Odoo itself stays: looking through all of it for garbage would stop every bus meanwhile.
        gc.collect()
        gc.freeze()
        Connector(names[0], until_idle=options.until_idle, handle_signals=True).run()
