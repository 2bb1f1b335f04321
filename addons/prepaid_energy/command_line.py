"""What the commands of these add-ons share (`odoo energy_check` and others): options, and the one
database that each works on.

Loaded by its path (`odoo.modules.load_script`): a command is looked up before the models of its
add-on may be imported.
"""

import optparse
import sys
from contextlib import closing, contextmanager

import odoo.tools.config
from odoo import SUPERUSER_ID, api
from odoo.modules.registry import Registry


def parse(command, args, title, *rows):
    """Read a command's arguments: Odoo's own options and the command's; set up the log.

    :param command: the `odoo.cli.Command`
    :param list args: as the command got them
    :param str title: above the command's own options in its help
    :param rows: of each own option its flag and the keywords of `OptionParser.add_option`
    :return: the options, and the name of the database
    """
    parser = odoo.tools.config.parser
    parser.prog = command.prog
    group = optparse.OptionGroup(parser, title)
    for flag, keywords in rows:
        group.add_option(flag, **keywords)
    parser.add_option_group(group)
    options = odoo.tools.config.parse_config(args, setup_logging=True)
    names = odoo.tools.config["db_name"]
    if len(names) != 1:
        sys.exit("Give exactly one database with -d")
    return options, names[0]


@contextmanager
def environment(dbname):
    """Open the superuser's environment on a database; what is not committed is rolled back."""
    with closing(Registry(dbname).cursor()) as cr:
        yield api.Environment(cr, SUPERUSER_ID, {})
