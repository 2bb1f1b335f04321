import json
import optparse
import sys
from contextlib import closing
from pathlib import Path

import odoo.tools.config
from odoo import SUPERUSER_ID, api
from odoo.cli import Command
from odoo.modules.registry import Registry

DEFAULT_SPEED = 60


class EnergyDemoSite(Command):
    """Prepare a demo database to be run: clock, arming, and the simulator's site file."""

    name = "energy_demo_site"

    def run(self, args):
        parser = odoo.tools.config.parser
        parser.prog = self.prog
        group = optparse.OptionGroup(parser, "Demo site")
        group.add_option("--output", dest="output", help="The site file to be written")
        group.add_option(
            "--speed",
            dest="speed",
            type="float",
            default=DEFAULT_SPEED,
            help="Project seconds per real second (%default)",
        )
        parser.add_option_group(group)
        options = odoo.tools.config.parse_config(args, setup_logging=True)
        names = odoo.tools.config["db_name"]
        if len(names) != 1 or not options.output:
            sys.exit("Give one database with -d and the site file with --output")
        with closing(Registry(names[0]).cursor()) as cr:
            env = api.Environment(cr, SUPERUSER_ID, {})
            site = env["energy.demo"]._start_demo(options.speed)
            cr.commit()
        Path(options.output).write_text(json.dumps(site, indent=1), encoding="utf-8")
