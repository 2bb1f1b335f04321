import json
import optparse
import sys
from contextlib import closing

import odoo.tools.config
from odoo import SUPERUSER_ID, api
from odoo.cli import Command
from odoo.modules.registry import Registry


class EnergyCheck(Command):
    """Check on a database what must always hold, rule by rule."""

    name = "energy_check"

    def run(self, args):
        parser = odoo.tools.config.parser
        parser.prog = self.prog
        group = optparse.OptionGroup(parser, "Check")
        group.add_option(
            "--json",
            action="store_true",
            dest="as_json",
            help="One object a line instead of a table",
        )
        parser.add_option_group(group)
        options = odoo.tools.config.parse_config(args, setup_logging=True)
        names = odoo.tools.config["db_name"]
        if len(names) != 1:
            sys.exit("Give exactly one database with -d")
        with closing(Registry(names[0]).cursor()) as cr:
            results = api.Environment(cr, SUPERUSER_ID, {})["energy.checker"]._check()
        for result in results:
            if options.as_json:
                print(json.dumps(result))
                continue
            verdict = "ok" if not result["findings"] else f"{len(result['findings'])} findings"
            print(f"{result['name']:<12} {result['count']:>9}  {verdict:<12} {result['title']}")
            for finding in result["findings"][:20]:
                print(f"{'':<12} {'':>9}  - {finding}")
        if any(result["findings"] for result in results):
            sys.exit(1)
