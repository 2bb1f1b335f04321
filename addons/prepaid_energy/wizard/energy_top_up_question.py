from datetime import timedelta

from odoo import _, models

from .. import clock
from ..engine import Facts, decide

SAME_AGAIN = timedelta(minutes=2)


class EnergyTopUp(models.TransientModel):
    """What the counter asks before it takes money; where none applies, it does not ask."""

    _inherit = "energy.top.up"

    def _questions(self, wallet, amount):
        """Return what to ask before a top-up.

        :param wallet: locked `energy.wallet`
        :param Decimal amount: of the top-up
        :return: list of sentences
        """
        asked = [
            self._ask_same_again(wallet, amount),
            self._ask_limit(wallet, amount),
            *self._ask_stays_off(wallet, amount),
        ]
        return [sentence for sentence in asked if sentence]

    def _ask_same_again(self, wallet, amount):
        now = clock.now(self.env.cr)
        entries = self.env["energy.wallet.entry"]
        recent = entries.search(
            [
                ("account_id", "=", wallet.account_id.id),
                ("kind", "=", "top_up"),
                ("amount", "=", float(amount)),
                ("moment", ">", now - SAME_AGAIN),
            ]
        )
        undone = entries.search(
            [("cause_key", "in", recent.mapped("key")), ("kind", "=", "reversal")]
        ).mapped("cause_key")
        same = recent.filtered(lambda entry: entry.key not in undone)[:1]
        if same:
            return _(
                "%(amount)s was taken for this account %(seconds)s seconds ago by %(cashier)s.",
                amount=wallet.currency_id.format(float(amount)),
                seconds=int((now - same.moment).total_seconds()),
                cashier=same.user_id.name,
            )
        return None

    def _ask_limit(self, wallet, amount):
        limit = wallet.company_id.energy_top_up_limit
        if limit and float(amount) > limit:
            return _(
                "%(amount)s is more than the %(limit)s up to which nobody asks.",
                amount=wallet.currency_id.format(float(amount)),
                limit=wallet.currency_id.format(limit),
            )
        return None

    def _ask_stays_off(self, wallet, amount):
        """Return a sentence for each reason for which supply of this balance stays off."""
        net = amount - wallet._service_fee(amount)
        missing, by_person = 0, []
        for situation in self.env["energy.meter.control"]._situations(wallet.account_id.ids):
            if situation.wallet != wallet.id or situation.facts.wanted != "off":
                continue
            facts = {name: getattr(situation.facts, name) for name in Facts.__slots__}
            decision = decide(
                situation.terms, Facts(**{**facts, "balance": situation.facts.balance + net})
            )
            if decision.reason == "forced_off":
                by_person.append(self.env["energy.meter"].browse(situation.meter).name)
            missing = max(missing, decision.missing)
        sentences = []
        if missing:
            sentences.append(
                _(
                    "Supply stays off: %s more is needed.",
                    wallet.currency_id.format(float(missing)),
                )
            )
        if by_person:
            sentences.append(
                _(
                    "Supply of meter %s was switched off by a person: no payment turns it on.",
                    ", ".join(by_person),
                )
            )
        return sentences
