"""Rows that stay as they are: the database itself refuses to change or delete them."""

from odoo.tools import SQL


def refuse_changes(cr, table, function):
    """Have a function look at every change and deletion of rows of a table, and at emptying it.

    :param str function: trigger function without arguments; it raises, or returns NEW for an
        update that may be
    """
    names = {
        "table": SQL.identifier(table),
        "function": SQL.identifier(function),
        "of_all": SQL.identifier(function.replace("_refuse_change", "_refuse_truncate")),
    }
    cr.execute(
        SQL(
            """
            CREATE OR REPLACE TRIGGER %(function)s
            BEFORE UPDATE OR DELETE ON %(table)s
            FOR EACH ROW EXECUTE FUNCTION %(function)s();

            CREATE OR REPLACE TRIGGER %(of_all)s
            BEFORE TRUNCATE ON %(table)s
            FOR EACH STATEMENT EXECUTE FUNCTION %(function)s();
            """,
            **names,
        )
    )
