from contextlib import closing

import odoo.modules.module
import psycopg2
from odoo import api, models
from odoo.exceptions import UserError
from odoo.modules.registry import Registry

from ..crash_points import reached

# Seconds for which somebody waits for a balance; first key of its advisory locks ("ener").
PATIENCE = 10
QUEUE = 0x656E6572
MOST_TRIES = 20
CONFLICTS = (
    psycopg2.errors.SerializationFailure,
    psycopg2.errors.DeadlockDetected,
    psycopg2.errors.LockNotAvailable,
)


class EnergyWallet(models.Model):
    """Whoever moves money queues for the balances, and repeats what settling came between."""

    _inherit = "energy.wallet"

    @api.model
    def _in_turn(self, wallet_ids, work, queue=QUEUE):
        """Do something to balances in a transaction of its own, one after the other.

        Whoever comes while another one is at the same balance waits before its transaction begins,
        so that waiting ends with fresh figures and not with a serialization failure. Settling does
        not queue: where it comes between, the work is repeated.

        The caller must hold no lock on these balances, and reads what it wants to show from what
        `work` returns: its own transaction is older than what was done.

        :param wallet_ids: ids of `energy.wallet`
        :param work: function of an environment; its transaction is committed when it returns
        :param int queue: first key of the advisory locks; others than balances have their own
        :return: what `work` returned
        :raise UserError: where others are at these balances for too long; nothing was done
        """
        if odoo.modules.module.current_test:
            return work(self.env)
        with closing(Registry(self.env.cr.dbname).cursor()) as cr:
            try:
                self._queue_up(cr, queue, sorted(set(wallet_ids)))
                return self._repeated(cr, work)
            finally:
                cr.rollback()
                cr.execute("SELECT pg_advisory_unlock_all()")
                cr.commit()  # pylint: disable=invalid-commit

    def _queue_up(self, cr, queue, wallet_ids):
        """Wait for these balances; ends the transaction, whose snapshot is older than the wait."""
        try:
            cr.execute("SELECT set_config('lock_timeout', %s, TRUE)", [f"{PATIENCE}s"])
            for wallet in wallet_ids:
                cr.execute("SELECT pg_advisory_lock(%s, %s)", [queue, wallet], log_exceptions=False)
        except psycopg2.errors.LockNotAvailable as error:
            raise UserError(self._busy()) from error
        cr.commit()  # pylint: disable=invalid-commit

    def _repeated(self, cr, work):
        for _attempt in range(MOST_TRIES):
            env = self.env(cr=cr)
            try:
                result = work(env)
                env.flush_all()
                reached("before_commit")
                cr.commit()  # pylint: disable=invalid-commit
                reached("after_commit")
                return result
            except CONFLICTS:
                cr.rollback()
                env.transaction.reset()
        raise UserError(self._busy())

    def _busy(self):
        return self.env._("Others are working on this balance. Nothing was done: try again.")
