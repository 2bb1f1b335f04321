from decimal import Decimal

from odoo import _, api, models
from odoo.exceptions import UserError
from odoo.tools import SQL, format_datetime

from ..bulk import array
from ..local_time import local_date
from .energy_command import WAITING
from .energy_wallet import Draft

ZERO = Decimal(0)


class EnergyAccount(models.Model):
    """How an account ends, and what may still reach it afterwards."""

    _inherit = "energy.account"

    def _lasting_supplies(self):
        """Return the supplies of these accounts that have no end."""
        return self.supply_ids.filtered(lambda supply: not supply.end_at)

    def _closing_obstacles(self, moment):
        """Return what must be settled before the account can be closed, as sentences.

        A supply command counts as unknown until it is read back, failed, expired or overtaken: as
        long as it is queued it may still be sent, once sent nobody knows whether it happened.

        :param datetime moment: naive UTC
        """
        self.ensure_one()
        return [
            *self._waiting_commands(),
            *self._held_readings(moment),
            *self._waiting_requests(),
            *self.problem_id.mapped(
                lambda problem: self.env._("Its use is not charged: %s", problem.message)
            ),
        ]

    def _waiting_commands(self):
        commands = self.env["energy.command"].search(
            [
                ("meter_id", "in", self._lasting_supplies().meter_id.ids),
                ("kind", "=", "supply"),
                ("state", "in", WAITING),
            ],
            order="meter_id, number",
        )
        return [
            self.env._("The command %s was sent and not read back.", command.display_name)
            if command.state == "sent"
            else self.env._("The command %s waits to be sent.", command.display_name)
            for command in commands
        ]

    def _waiting_requests(self):
        # sudo: a payment in the way counts, whoever sees it
        requests = (
            self.env["energy.balance.request"]
            .sudo()
            .search(
                [
                    ("state", "=", "waiting"),
                    "|",
                    ("account_id", "=", self.id),
                    ("to_account_id", "=", self.id),
                ],
                order="id",
            )
        )
        return [
            self.env._(
                "The request %(request)s of %(amount)s waits for approval.",
                request=request.display_name,
                amount=request.currency_id.format(request.amount),
            )
            for request in requests
        ]

    def _held_readings(self, moment):
        """Return the held readings after which no reading was accepted, as sentences."""
        rows = self.env.execute_query(
            SQL(
                """
            SELECT m.name, h.moment, h.total::text
              FROM energy_supply s
              JOIN energy_meter m ON m.id = s.meter_id
              JOIN energy_reading_data h ON h.meter_id = s.meter_id AND h.state = 'held'
                   AND h.moment >= s.start_at AND h.moment <= %(moment)s
             WHERE s.account_id = %(account)s AND s.end_at IS NULL AND NOT EXISTS (
                   SELECT 1 FROM energy_reading_data r
                    WHERE r.meter_id = h.meter_id AND r.state = 'accepted'
                      AND r.moment > h.moment AND r.moment <= %(moment)s)
             ORDER BY m.name, h.moment
            """,
                account=self.id,
                moment=moment,
            )
        )
        return [
            self.env._(
                "The reading %(register)s of meter %(meter)s of %(moment)s is held.",
                register=f"{Decimal(total):f}" if total else "?",
                meter=meter,
                moment=format_datetime(self.env, at),
            )
            for meter, at, total in rows
        ]

    def _close(self, moment, registers, locked):
        """Close the account: final readings, last deductions, end of its supplies.

        :param datetime moment: naive UTC, not in the future
        :param dict registers: closing register (Decimal) by id of every lasting supply
        :param dict locked: what `energy.wallet._lock` returned for all its balances; brought up to
            date
        :raise UserError: where something is in the way, with the complete list
        """
        self.ensure_one()
        obstacles = self._closing_obstacles(moment)
        if obstacles:
            raise UserError(
                _(
                    "%(account)s cannot be closed yet:\n%(obstacles)s",
                    account=self.display_name,
                    obstacles="\n".join(obstacles),
                )
            )
        own = {wallet: state for wallet, state in locked.items() if state[3] == self.id}
        self._lasting_supplies()._end(moment, registers)
        # sudo: settling is the flow's, whoever causes it
        self.env["energy.settlement"].sudo()._settle_now(own)
        self._net_balances(own)
        self._end_occupancies(moment)
        # sudo: only this method closes accounts; the document has checked the right to
        self.sudo().write({"state": "closed", "closed_at": moment})
        self._bill_until(local_date(moment, self.site_id._zone()))
        locked.update(self.env["energy.wallet"]._lock(list(own)))

    def _bill_until(self, day):
        """Invoice what was charged, to a local date and, where the closing is of the past, to now.

        The books settle the invoices as far as they know the payments already, the rest follows.
        """
        # sudo: a closing invoices, whoever may close
        account = self.sudo()
        account._invoice_until(day)
        account._invoice_until(account.site_id._today())
        account.env["energy.book.settlement"]._settle(account.ids)
        account.env.ref("prepaid_energy.ir_cron_book_entries")._trigger()

    def _net_balances(self, own):
        """Let what is left on one balance of the account pay what another one owes."""
        wallets = self.env["energy.wallet"].browse(own)
        for poor in wallets.filtered(lambda wallet: own[wallet.id][0] < 0):
            for rich in wallets.filtered(lambda wallet: own[wallet.id][0] > 0):
                amount = min(-own[poor.id][0], own[rich.id][0])
                if amount > 0:
                    self._move(rich, poor, amount, f"net/{rich.id}/{own[rich.id][1] + 1}", own)

    def _move(self, source, target, amount, key, locked):
        """Move money from one balance to another.

        :param source: `energy.wallet`
        :param target: `energy.wallet`
        :param Decimal amount: more than zero
        :param str key: of the two entries, before `/out` and `/in`
        :param dict locked: what `energy.wallet._lock` returned for both
        """
        legs = {f"{key}/out": (source, -amount), f"{key}/in": (target, amount)}
        names = list(legs)
        note = _(
            "Transfer %(source)s → %(target)s",
            source=source.account_id.name,
            target=target.account_id.name,
        )
        # sudo: balances are moved by the flow only
        self.env["energy.wallet"].sudo()._post(
            [
                Draft(
                    wallet_id=wallet.id,
                    kind="transfer",
                    category=wallet.commodity or "other",
                    amount=signed,
                    key=name,
                    local_date=wallet.site_id._today(),
                    note=note,
                    user_id=self.env.uid,
                    cause_key=names[1 - position],
                )
                for position, (name, (wallet, signed)) in enumerate(legs.items())
            ],
            locked,
        )

    def _check_takes_top_up(self, amount, balance):
        """Refuse money that the account cannot take: a closed one only settles what it owes.

        :param Decimal amount: to be credited
        :param Decimal balance: of the balance it is for, before
        """
        self.ensure_one()
        if self.state in ("active", "suspended") or (self.state == "closed" and amount <= -balance):
            return
        if self.state == "closed" and balance < 0:
            raise UserError(
                _(
                    "%(account)s is closed and owes %(debt)s: it takes no more than that.",
                    account=self.display_name,
                    debt=self.currency_id.format(float(-balance)),
                )
            )
        raise UserError(_("%s is not open: it takes no top-up.", self.display_name))

    @api.model
    def _tell_late_differences(self, drafts, locked):
        """Make what was posted to closed accounts somebody's to-do: a refund, or a debt.

        :param list drafts: `Draft` values that were posted
        :param dict locked: the wallets' rows, as `energy.wallet._lock` returns them
        """
        if not drafts:
            return
        amounts = {}
        for draft in drafts:
            account = locked[draft.wallet_id][3]
            amounts[account] = amounts.get(account, ZERO) + draft.amount
        closed = [
            row[0]
            for row in self.env.execute_query(
                SQL(
                    "SELECT id FROM energy_account WHERE id = ANY(%s::int[]) AND state = 'closed'"
                    " ORDER BY id",
                    array(amounts),
                )
            )
        ]
        # sudo: settling tells finance, whoever settles
        for account in self.sudo().browse(closed):
            if not amounts[account.id]:
                continue
            amount = account.currency_id.format(float(amounts[account.id]))
            account.activity_schedule(
                "mail.mail_activity_data_todo",
                user_id=account._finance_user().id,
                summary=_("Difference of %s after the closing", amount),
                note=_(
                    "A late or corrected reading of the time before the closing changed the "
                    "balance of this closed account by %s. Pay it back, ask for it, or write it "
                    "off.",
                    amount,
                ),
            )

    def _finance_user(self):
        """Return who looks after the money of this account."""
        group = self.env.ref("prepaid_energy.group_energy_finance")
        users = group.sudo().all_user_ids.filtered(
            lambda user: (
                self.company_id in user.company_ids
                and (not user.energy_site_ids or self.site_id in user.energy_site_ids)
            )
        )
        # Whoever has the role and no more than it, before managers.
        manager = self.env.ref("prepaid_energy.group_energy_manager")
        return (users - manager.sudo().all_user_ids)[:1] or users[:1] or self.env.user
