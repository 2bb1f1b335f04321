from collections import defaultdict
from decimal import Decimal

from odoo import models

from ..engine import round_half_up
from ..rating_work import Prices


class EnergyRating(models.AbstractModel):
    _inherit = "energy.rating"

    def _differences(self, account_ids, queued):
        """Return what settling would post for some accounts. Only reads.

        :param dict queued: earliest changed moment of each meter id
        :return: (dict of (account id, month) to what the customer would pay more; dict of account
            id to the reason why its use cannot be priced)
        """
        batch = self._rated(account_ids, queued, Prices(self.env, cached=False))
        found = defaultdict(Decimal)
        for unit in batch.units.values():
            for month, row in unit.months.items():
                if row.new_due is not None:
                    found[unit.account, month] += (
                        round_half_up(row.new_due, row.step) - row.posted
                    )
        return found, {account: str(refused) for account, refused in batch.failures.items()}
