from datetime import date, datetime
from decimal import Decimal

from odoo.tests import TransactionCase, tagged
from odoo.tools import SQL

from ..bulk import copy_rows, values

# What PostgreSQL's array and COPY formats give a meaning of their own.
TEXTS = [
    "plain",
    "",
    " ",
    "NULL",
    "null",
    "\\N",
    "\\.",
    "\\",
    "a\\",
    "\\n",
    '"',
    'say "no"',
    '\\"',
    "it's",
    "{1,2}",
    "a,b",
    "tab\tin",
    "line\nfeed",
    "carriage\rreturn",
    "%s %(name)s %",
    "电表 Ω ß 😀",
]


@tagged("post_install", "-at_install")
class TestBulk(TransactionCase):
    """What goes into PostgreSQL in bulk comes out as it was."""

    def kept_by_values(self, rows, **types):
        columns = SQL(", ").join(SQL.identifier(name) for name in types)
        self.env.cr.execute(SQL("SELECT %s FROM %s", columns, values(rows, **types)))
        return self.env.cr.fetchall()

    def kept_by_copy(self, rows, **types):
        columns = ", ".join(f"{name} {kind}" for name, kind in types.items())
        self.env.cr.execute(
            f"DROP TABLE IF EXISTS bulk; CREATE TEMP TABLE bulk (row serial, {columns})"
        )
        copy_rows(self.env.cr, "bulk", tuple(types), rows)
        self.env.cr.execute(f"SELECT {', '.join(types)} FROM bulk ORDER BY row")
        return self.env.cr.fetchall()

    def assertKept(self, rows, **types):
        self.assertEqual(self.kept_by_values(rows, **types), rows)
        self.assertEqual(self.kept_by_copy(rows, **types), rows)

    def test_texts(self):
        self.assertKept([(text, number) for number, text in enumerate(TEXTS)], text="text", n="int")

    def test_each_text_by_itself(self):
        for text in TEXTS:
            with self.subTest(text):
                self.assertKept([(text,)], text="text")

    def test_nothing_is_null_and_a_text_is_not(self):
        self.assertKept([(None, 1), ("NULL", None), ("\\N", 2)], text="text", n="int")
        self.assertKept([(None, None), (None, None)], text="text", n="int")

    def test_other_kinds(self):
        self.assertKept(
            [
                (date(2026, 2, 28), datetime(2026, 3, 29, 1, 59, 59, 123456), True, 2**40),
                (None, datetime(1970, 1, 1), False, -1),
            ],
            day="date",
            moment="timestamp",
            flag="boolean",
            big="bigint",
        )

    def test_decimals_keep_every_digit(self):
        figures = ["0", "0.000000000001", "-123456789012.345678901234", "1E+3", "1E-7"]
        rows = [(Decimal(figure),) for figure in figures]
        columns = {"figure": "numeric"}
        self.env.cr.execute(SQL("SELECT figure::text FROM %s", values(rows, **columns)))
        self.assertEqual([(Decimal(text),) for (text,) in self.env.cr.fetchall()], rows)
        self.kept_by_copy(rows, **columns)
        self.env.cr.execute("SELECT figure::text FROM bulk ORDER BY row")
        self.assertEqual([(Decimal(text),) for (text,) in self.env.cr.fetchall()], rows)

    def test_no_rows(self):
        self.assertEqual(self.kept_by_values([], text="text", n="int"), [])
        self.assertEqual(self.kept_by_copy([], text="text", n="int"), [])

    def test_rows_of_unequal_length_are_refused(self):
        for kept in (self.kept_by_values, self.kept_by_copy):
            with self.assertRaises(ValueError):
                kept([("a", 1), ("b",)], text="text", n="int")
