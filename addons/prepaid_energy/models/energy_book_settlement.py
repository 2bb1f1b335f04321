import logging
from collections import defaultdict
from decimal import Decimal

from odoo import api, models
from odoo.tools import SQL

from ..engine import match, settle_open
from .energy_wallet_turn import CONFLICTS

_logger = logging.getLogger(__name__)

BATCH = 500


class EnergyBookSettlement(models.AbstractModel):
    """Settles prepaid receivables from advances: what was charged is paid from what was received.

    One journal entry a company and date, with a pair of items an account, reconciled with the
    receivables, oldest first.
    """

    _name = "energy.book.settlement"
    _description = "Settlement of prepaid receivables"

    @api.model
    def _settle(self, account_ids=None, date=None):
        """Settle open receivables of accounts as far as their advances cover them.

        An account that accounting refuses becomes a to-do and does not stop the rest.

        :param account_ids: ids of `energy.account`; None: all
        :param date date: day of what is not covered at the invoice's own date; None: today
        :return: the journal entries made
        :rtype: recordset of `account.move`
        """
        # sudo: the books follow whoever charged or paid
        self = self.sudo()
        items = self._open_items(account_ids)
        moves = self.env["account.move"]
        by_company = defaultdict(set)
        for item in items:
            by_company[item["company"]].add(item["account"])
        for company, accounts in sorted(by_company.items()):
            accounts = sorted(accounts)
            for start in range(0, len(accounts), BATCH):
                moves |= self._settle_apart(company, accounts[start : start + BATCH], date)
        return moves

    def _settle_apart(self, company, accounts, date):
        """Settle accounts in one go, or else each alone."""
        try:
            with self.env.cr.savepoint():
                return self._settle_company(company, accounts, date)
        except CONFLICTS:
            raise
        except Exception as error:
            self.env.invalidate_all()
            moves = self.env["account.move"]
            if len(accounts) > 1:
                for account in accounts:
                    moves |= self._settle_apart(company, [account], date)
                return moves
            account = self.env["energy.account"].browse(accounts)
            _logger.info("Account %s could not be settled", account.name, exc_info=True)
            account._ask_about_books(
                self.env._("Invoices are not settled from the balance"), str(error)
            )
            return moves

    def _settle_company(self, company, account_ids, date):
        accounts = self.env["energy.account"].browse(account_ids)
        accounts._lock_books()
        self = self.with_company(company)
        self._match_credits(self._open_items(account_ids))
        items = self._open_items(account_ids)
        if not items:
            return self.env["account.move"]
        today = {account.id: date or account.site_id._today() for account in accounts}
        pairs = defaultdict(list)
        advances = accounts._advances(min(item["date"] for item in items))
        by_id = {item["id"]: item for item in items}
        open_of = defaultdict(list)
        for item in items:
            open_of[item["account"]].append((item["id"], item["date"], item["amount"]))
        for account, opened in open_of.items():
            for line, day, amount in settle_open(opened, advances[account], today[account]):
                item = by_id[line]
                pairs[day, account, item["receivable"], amount > 0].append((line, amount))
        return self._post_pairs(company, pairs, by_id)

    def _open_items(self, account_ids=None):
        """Return what is open on prepaid receivables, oldest first.

        :return: list of dicts with id of the journal item, account, company, receivable (id of the
            ledger's account), partner, date and amount (Decimal, below zero: a credit)
        """
        self.env["account.move.line"].flush_model()
        rows = self.env.execute_query(
            SQL(
                """
            SELECT line.id, line.energy_account_id, line.company_id, line.account_id,
                   line.partner_id, line.date, line.amount_residual::text
              FROM account_move_line line
              JOIN account_account ledger ON ledger.id = line.account_id
                   AND ledger.account_type = 'asset_receivable'
             WHERE line.energy_account_id IS NOT NULL AND %s AND line.parent_state = 'posted'
               AND line.amount_residual <> 0
             ORDER BY line.date, line.id
            """,
                SQL("TRUE")
                if account_ids is None
                else SQL("line.energy_account_id = ANY(%s)", list(account_ids)),
            )
        )
        names = ("id", "account", "company", "receivable", "partner", "date")
        return [{**dict(zip(names, row, strict=False)), "amount": Decimal(row[-1])} for row in rows]

    def _match_credits(self, items):
        """Reconcile what was credited to an account with what was charged to it."""
        sides = defaultdict(lambda: ([], []))
        for item in items:
            side = sides[item["account"], item["receivable"]][item["amount"] < 0]
            side.append((item["id"], abs(item["amount"])))
        pairs = [pair for debits, credits in sides.values() for pair in match(debits, credits)]
        self._reconcile(pairs)

    def _reconcile(self, pairs):
        lines = self.env["account.move.line"]
        if pairs:
            lines._reconcile_plan([lines.browse(pair) for pair in pairs])

    def _post_pairs(self, company_id, pairs, by_id):
        """Make and post the settlement entries, and reconcile them.

        :param dict pairs: by (date, account id, receivable id, whether it is charged): list of
            (id of the journal item that is settled, amount signed like it)
        """
        company = self.env["res.company"].browse(company_id)
        journal = self.env["energy.booking"]._books_journal(company)
        advances = company._energy_set_up_advances_account()
        by_day = defaultdict(list)
        for key, settled in pairs.items():
            by_day[key[0]].append((key, settled))
        days = sorted(by_day)
        vals_list = []
        for day in days:
            lines = []
            for (_day, account, receivable, _is_charged), settled in by_day[day]:
                amount = sum(part for _line, part in settled)
                values = {
                    "partner_id": by_id[settled[0][0]]["partner"],
                    "energy_account_id": account,
                    "currency_id": company.currency_id.id,
                }
                lines.append(
                    {**values, "account_id": advances.id, "balance": float(amount)},
                )
                lines.append(
                    {**values, "account_id": receivable, "balance": -float(amount)},
                )
            vals_list.append(
                {
                    "move_type": "entry",
                    "journal_id": journal.id,
                    "company_id": company_id,
                    "date": day,
                    "ref": self.env._("Invoices settled from prepaid balances"),
                    "line_ids": [(0, 0, line) for line in lines],
                }
            )
        moves = self.env["account.move"].create(vals_list)
        moves._post(soft=False)
        plan = []
        for day, move in zip(days, moves, strict=True):
            receivables = move.line_ids.filtered(lambda line: line.account_id != advances)
            own = {
                (line.energy_account_id.id, line.account_id.id, line.balance < 0): line.id
                for line in receivables
            }
            for (_day, account, receivable, is_charged), settled in by_day[day]:
                plan += [(line, own[account, receivable, is_charged]) for line, _part in settled]
        self._reconcile(plan)
        return moves
