import io
import json
from contextlib import redirect_stdout
from optparse import OptionParser
from unittest.mock import patch

from odoo.cli.command import find_command
from odoo.tests import TransactionCase, tagged
from odoo.tools import config


@tagged("post_install", "-at_install")
class TestCommandLine(TransactionCase):
    """The commands read their options in one place, and work on one database."""

    def run_command(self, name, *args):
        """Run a command on a parser of its own; return what it printed."""
        parser = OptionParser()
        parser.add_option("-d", dest="db_name", default="")

        def parse_config(args, setup_logging):
            options, _rest = parser.parse_args(args)
            names.extend(options.db_name.split(",") if options.db_name else [])
            return options

        def setting(config, key):
            return names if key == "db_name" else known(config, key)

        names, known = [], type(config).__getitem__
        printed = io.StringIO()
        with (
            patch.object(config, "parser", parser),
            patch.object(config, "parse_config", parse_config),
            patch.object(type(config), "__getitem__", setting),
            redirect_stdout(printed),
        ):
            find_command(name)().run(list(args))
        return printed.getvalue()

    def test_check_tells_what_holds(self):
        rules = []
        result = [{"name": "money", "title": "Balances", "count": 3, "findings": rules}]
        checker = type(self.env["energy.checker"])
        with patch.object(checker, "_check", lambda _self: result):
            told = json.loads(self.run_command("energy_check", "-d", self.env.cr.dbname, "--json"))
            self.assertEqual(told, result[0])
            rules.append("one is wrong")
            with self.assertRaises(SystemExit) as ended:
                self.run_command("energy_check", "-d", self.env.cr.dbname)
        self.assertEqual(ended.exception.code, 1)

    def test_one_database_is_named(self):
        for databases in ((), ("-d", "one,two")):
            with self.assertRaisesRegex(SystemExit, "exactly one database"):
                self.run_command("energy_check", *databases)
