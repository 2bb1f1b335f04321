import re
from decimal import Decimal

from odoo import _, api, fields, models
from odoo.exceptions import AccessError, UserError
from odoo.tools import SQL, format_datetime

from .. import clock
from ..engine import chinese_amount
from ..kept_rows import refuse_changes

# First key of the advisory locks ("rece"); numbers are drawn one transaction after the other.
QUEUE = 0x72656365
KINDS = [
    ("top_up", "Top-up"),
    ("refund", "Refund"),
    ("deposit", "Security Deposit"),
    ("deposit_return", "Security Deposit Returned"),
]
REPORTS = {
    "a5": "prepaid_energy.action_report_receipt_a5",
    "roll": "prepaid_energy.action_report_receipt_roll",
}


class EnergyReceipt(models.Model):
    """The paper that a customer gets for a payment: its own copy of what was paid.

    Its number has no gaps in a company and year. It is drawn after the payment's commit, in a
    transaction of its own, and found again by the payment's key.
    """

    _name = "energy.receipt"
    _description = "Receipt"
    _order = "year desc, number desc, id desc"
    _log_access = False
    _allow_sudo_commands = False

    name = fields.Char(string="Receipt Number", required=True, readonly=True)
    company_id = fields.Many2one(
        "res.company", required=True, readonly=True, index=True, ondelete="restrict"
    )
    year = fields.Integer(required=True, readonly=True, aggregator=False)
    number = fields.Integer(
        required=True, readonly=True, aggregator=False, help="Without gaps in a company and year."
    )
    kind = fields.Selection(KINDS, required=True, readonly=True)
    entry_key = fields.Char(
        string="Key", required=True, readonly=True, help="Key of the payment that it is for."
    )
    account_id = fields.Many2one(
        "energy.account", required=True, readonly=True, index=True, ondelete="restrict"
    )
    site_id = fields.Many2one(
        "energy.property", required=True, readonly=True, index=True, ondelete="restrict"
    )
    customer = fields.Char(required=True, readonly=True)
    rooms = fields.Char(readonly=True)
    meters = fields.Char(readonly=True)
    moment = fields.Datetime(required=True, readonly=True)
    local_date = fields.Date(string="Date", required=True, readonly=True, index=True)
    currency_id = fields.Many2one("res.currency", required=True, readonly=True, ondelete="restrict")
    amount = fields.Monetary(required=True, readonly=True)
    service_fee = fields.Monetary(readonly=True)
    towards_debt = fields.Monetary(readonly=True)
    prepaid = fields.Monetary(readonly=True)
    balance_after = fields.Monetary(readonly=True, aggregator=False)
    method_id = fields.Many2one(
        "energy.payment.method", string="Payment Method", readonly=True, ondelete="restrict"
    )
    reference = fields.Char(readonly=True)
    user_id = fields.Many2one(
        "res.users", string="Cashier", required=True, readonly=True, ondelete="restrict"
    )
    print_count = fields.Integer(string="Prints", readonly=True, required=True, default=0)
    printed_by_id = fields.Many2one("res.users", readonly=True, ondelete="restrict")
    printed_at = fields.Datetime(readonly=True)

    _number_uniq = models.UniqueIndex(
        "(company_id, year, number)", "A receipt number is given once a company and year."
    )
    _entry_key_uniq = models.UniqueIndex("(entry_key)", "A payment has one receipt.")

    def init(self):
        self.env.cr.execute("""
            CREATE OR REPLACE FUNCTION energy_receipt_refuse_change() RETURNS trigger
            LANGUAGE plpgsql AS $$
            DECLARE
                prints text[] := ARRAY['print_count', 'printed_by_id', 'printed_at'];
            BEGIN
                IF TG_OP = 'UPDATE' AND to_jsonb(NEW) - prints = to_jsonb(OLD) - prints THEN
                    RETURN NEW;
                END IF;
                RAISE EXCEPTION 'Receipts are never changed or deleted.'
                      USING ERRCODE = 'restrict_violation';
            END $$;
        """)
        refuse_changes(self.env.cr, "energy_receipt", "energy_receipt_refuse_change")

    @api.model_create_multi
    def create(self, vals_list):
        if not self.env.su:
            raise AccessError(_("A receipt is drawn for a payment."))
        return super().create(vals_list)

    def write(self, vals):
        raise UserError(_("Receipts are never changed."))

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(_("Receipts are never deleted: their numbers have no gaps."))

    # --- drawing -----------------------------------------------------------------------------

    @api.model
    def _for(self, keys):
        """Return the receipts of payments, drawn where they are missing.

        A receipt that is new can be read from the next transaction on.

        :param list keys: of committed payments; see `_facts`
        :rtype: recordset of `energy.receipt`, in the order of the keys
        :raise UserError: where a key is of no payment
        """
        drawn = self._numbered(keys)
        return self.browse(drawn[key]["id"] for key in dict.fromkeys(keys))

    @api.model
    def _numbered(self, keys):
        """Return the receipts of payments as plain values, drawn where they are missing.

        Numbers are drawn one after the other, and each drawing is a transaction that begins after
        the one before it was committed, so that nobody reads an older last number.

        :param list keys: of committed payments; see `_facts`
        :return: dict of key to dict of id and name
        :raise UserError: where a key is of no payment
        """
        found = self._known(keys)
        missing = [key for key in dict.fromkeys(keys) if key not in found]
        if missing:
            found |= self.env["energy.wallet"]._in_turn(
                [0], lambda env: env[self._name]._draw(missing), queue=QUEUE
            )
        return found

    @api.model
    def _known(self, keys):
        # sudo: the number of a payment is the same for everybody
        receipts = self.sudo().search_fetch([("entry_key", "in", keys)], ["entry_key", "name"])
        return {receipt.entry_key: {"id": receipt.id, "name": receipt.name} for receipt in receipts}

    @api.model
    def _draw(self, keys):
        """Give numbers to payments that have none; nobody else draws at the same time.

        :return: as `_numbered`
        """
        found = self._known(keys)
        missing = [key for key in keys if key not in found]
        # sudo: receipts are written here only
        facts = self.sudo()._facts(missing)
        last, rows = {}, []
        for key in missing:
            if key not in facts:
                raise UserError(
                    _("There is no payment with the key %s to give a receipt for.", key)
                )
            fact = facts[key]
            company, year = fact["company_id"], fact["local_date"].year
            if (company, year) not in last:
                last[company, year] = self._last_number(company, year)
            number = last[company, year] = last[company, year] + 1
            rows.append(
                {
                    **fact,
                    "entry_key": key,
                    "year": year,
                    "number": number,
                    "name": f"R{year}-{number:06d}",
                }
            )
        self.sudo().create(rows).flush_recordset()
        return found | self._known(missing)

    def _last_number(self, company, year):
        ((number,),) = self.env.execute_query(
            SQL(
                "SELECT COALESCE(max(number), 0) FROM energy_receipt"
                " WHERE company_id = %s AND year = %s",
                company,
                year,
            )
        )
        return number

    @api.model
    def _facts(self, keys):
        """Return what the receipts of payments say.

        A model whose payments are no balance entries adds its own.

        :param list keys: of payments
        :return: dict of key to the values of a receipt but for key, year, number and name; keys
            that are of no payment are missing
        """
        entries = self.env["energy.wallet.entry"].search(
            [("key", "in", keys), ("kind", "in", ("top_up", "refund"))]
        )
        parts = entries._payment_parts(entries.mapped("key"))
        return {
            entry.key: {
                **self._facts_of_account(entry.account_id, entry.moment),
                "kind": entry.kind,
                "local_date": entry.local_date,
                "amount": abs(parts[entry.key]["amount"]),
                "service_fee": parts[entry.key]["service_fee"],
                "towards_debt": parts[entry.key]["towards_debt"],
                "prepaid": parts[entry.key]["prepaid"],
                "balance_after": parts[entry.key]["balance_after"],
                "method_id": entry.method_id.id,
                "reference": entry.reference,
                "user_id": entry.user_id.id,
            }
            for entry in entries
        }

    @api.model
    def _facts_of_account(self, account, moment):
        """Return the values of a receipt that its account gives it.

        :param account: `energy.account`
        :param datetime moment: naive UTC moment of the payment
        """
        meters = account.supply_ids.filtered(
            lambda supply: supply.start_at <= moment and not (supply.end_at or moment) < moment
        ).meter_id
        rooms = account.room_ids.with_context(energy_short_name=True)
        return {
            "company_id": account.company_id.id,
            "currency_id": account.currency_id.id,
            "account_id": account.id,
            "site_id": account.site_id.id,
            "customer": account.partner_id.name or account.partner_id.display_name,
            "rooms": ", ".join(rooms.mapped("display_name")),
            "meters": ", ".join(meters.mapped("name")),
            "moment": moment,
        }

    # --- printing ----------------------------------------------------------------------------

    @api.model
    def _check_may_print(self):
        user = self.env.user
        if not self.env.su and not (
            user.has_group("prepaid_energy.group_energy_cashier")
            or user.has_group("prepaid_energy.group_energy_finance")
        ):
            raise AccessError(_("Receipts are printed by cashiers and by finance."))

    def _count_prints(self):
        """Count one print more of each of these receipts.

        :return: dict of id to the number of the copy; 0 for the first print
        """
        self._check_may_print()
        self.check_access("read")
        rows = self.env.execute_query(
            SQL(
                """
            UPDATE energy_receipt
               SET print_count = print_count + 1, printed_by_id = %s, printed_at = %s
             WHERE id = ANY(%s) RETURNING id, print_count - 1
            """,
                self.env.uid,
                clock.now(self.env.cr),
                self.ids,
            )
        )
        self.invalidate_recordset(["print_count", "printed_by_id", "printed_at"], flush=False)
        return dict(rows)

    def _amount_in_words(self):
        """Return the amount in words; in capital figures where the language is Chinese."""
        self.ensure_one()
        currency = self.currency_id
        if (self.env.lang or "").startswith("zh") and currency.decimal_places <= 2:
            amount = Decimal(f"{self.amount:.2f}")
            prefix = "人民币" if currency.name == "CNY" else f"{currency.name} "
            return chinese_amount(amount, prefix)
        return currency.amount_to_text(self.amount)

    def _local_moment(self):
        """Return the moment of the payment in the site's time zone, in the user's words."""
        self.ensure_one()
        return format_datetime(self.env, self.moment, tz=self.site_id.tz, dt_format="medium")

    def _company_address(self):
        """Return the company's address on one line."""
        self.ensure_one()
        # sudo: the seller's address stands on every paper
        address = self.company_id.sudo().partner_id._display_address(without_company=True)
        return ", ".join(part for part in re.split(r"\s*[,\n]\s*", address) if part)

    def _print(self, paper=None):
        """Return the action that prints these receipts at once, from the browser.

        :param str paper: "a5" or "roll"; None: the user's choice
        """
        self._check_may_print()
        own = self.env.user.energy_receipt_paper
        paper = paper or (own if own in REPORTS else "a5")
        return {
            "type": "ir.actions.client",
            "tag": "energy_print",
            "params": {"urls": [self._url(receipt_id, paper) for receipt_id in self.ids]},
        }

    @api.model
    def _url(self, receipt_id, paper):
        return f"/energy/receipt/{receipt_id}/{paper}"

    def action_print(self):
        """Print these receipts on the user's paper; a further print is marked as a copy."""
        self.check_access("read")
        return self._print()

    def action_open_entry(self):
        """Open the balance entry that this receipt is for."""
        self.ensure_one()
        return self.env["energy.wallet.entry"]._open([("key", "=", self.entry_key)])
