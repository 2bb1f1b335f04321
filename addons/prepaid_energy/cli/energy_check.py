import json
import sys

from odoo.cli import Command
from odoo.modules import load_script

command_line = load_script("prepaid_energy/command_line.py", "prepaid_energy_command_line")


class EnergyCheck(Command):
    """Check on a database what must always hold, rule by rule."""

    name = "energy_check"

    def run(self, args):
        as_json = {
            "action": "store_true",
            "dest": "as_json",
            "help": "One object a line instead of a table",
        }
        options, database = command_line.parse(self, args, "Check", ("--json", as_json))
        with command_line.environment(database) as env:
            results = env["energy.checker"]._check()
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
