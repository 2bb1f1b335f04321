import json
import sys
from pathlib import Path

from odoo.cli import Command
from odoo.modules import load_script

command_line = load_script("prepaid_energy/command_line.py", "prepaid_energy_command_line")

DEFAULT_SPEED = 60


class EnergyDemoSite(Command):
    """Prepare a demo database to be run: clock, arming, and the simulator's site file."""

    name = "energy_demo_site"

    def run(self, args):
        speed = {
            "type": "float",
            "help": f"Project seconds per real second ({DEFAULT_SPEED})",
        }
        options, database = command_line.parse(
            self,
            args,
            "Demo site",
            ("--output", {"help": "The site file to be written"}),
            ("--speed", speed),
        )
        if not options.output:
            sys.exit("Give the site file with --output")
        chosen = DEFAULT_SPEED if options.speed is None else options.speed
        with command_line.environment(database) as env:
            site = env["energy.demo"]._start_demo(chosen)
            env.cr.commit()
        Path(options.output).write_text(json.dumps(site, indent=1), encoding="utf-8")
