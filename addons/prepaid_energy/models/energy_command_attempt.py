from odoo import _, api, fields, models
from odoo.exceptions import UserError
from odoo.tools import SQL

from ..kept_rows import refuse_changes

OUTCOMES = [
    ("written", "About to be written"),
    ("confirmed", "Read back as ordered"),
    ("unreached", "Nothing written: the meter was not reached"),
    ("unconfirmed", "Written, not read back as ordered"),
    ("dropped", "Nothing written: no longer to be carried out"),
    ("failed", "Given up"),
]


class EnergyCommandAttempt(models.Model):
    """What was tried for an order: who held the bus, what was sent, what came back, how it ended.

    A write has two rows, one stored before it and one after its read-back: where the second is
    missing, whoever wrote did not live to see the answer. The database refuses to change or delete
    a row.
    """

    _name = "energy.command.attempt"
    _description = "Attempt of a command"
    _log_access = False
    _allow_sudo_commands = False
    _order = "id"
    _rec_name = "number"

    command_id = fields.Many2one(
        "energy.command", required=True, readonly=True, index=True, ondelete="restrict"
    )
    number = fields.Integer(required=True, readonly=True, aggregator=False)
    moment = fields.Datetime(required=True, readonly=True)
    holder = fields.Char(
        string="By", required=True, readonly=True, help="Computer and process that held the bus."
    )
    outcome = fields.Selection(OUTCOMES, required=True, readonly=True)
    frames = fields.Text(
        readonly=True, help="→ as sent, ← as received; a frame that repeats is counted."
    )
    error = fields.Char(readonly=True)
    site_id = fields.Many2one(
        "energy.property", required=True, readonly=True, index=True, ondelete="restrict"
    )
    company_id = fields.Many2one(
        "res.company", required=True, readonly=True, index=True, ondelete="restrict"
    )

    _number_uniq = models.UniqueIndex(
        "(command_id, number)", "An order has one attempt of a number."
    )

    def init(self):
        self.env.cr.execute("""
            CREATE OR REPLACE FUNCTION energy_attempt_refuse_change() RETURNS trigger
            LANGUAGE plpgsql AS $$
            BEGIN
                RAISE EXCEPTION 'Attempts of commands are never changed or deleted.'
                      USING ERRCODE = 'restrict_violation';
            END $$;
        """)
        refuse_changes(self.env.cr, "energy_command_attempt", "energy_attempt_refuse_change")

    @api.model_create_multi
    def create(self, vals_list):
        raise UserError(_("Attempts are noted by whatever drives the meters."))

    def write(self, vals):
        raise UserError(_("Attempts cannot be edited."))

    @api.ondelete(at_uninstall=False)
    def _unlink_never(self):
        raise UserError(_("Attempts are never deleted."))

    @api.model
    def _note(self, command, outcome, holder, frames=None, error=None):
        """Add a row.

        :param command: the order
        :param str outcome: one of OUTCOMES
        :param str holder: who tried
        :param str frames: what was sent and what came back
        """
        self.env.cr.execute(
            SQL(
                """
            INSERT INTO energy_command_attempt
                   (command_id, number, moment, holder, outcome, frames, error, site_id,
                    company_id)
            SELECT c.id, 1 + (SELECT count(*) FROM energy_command_attempt WHERE command_id = c.id),
                   energy_now(), %(holder)s, %(outcome)s, %(frames)s, %(error)s, c.site_id,
                   c.company_id
              FROM energy_command c WHERE c.id = %(command)s
            """,
                holder=holder,
                outcome=outcome,
                frames=frames or None,
                error=error or None,
                command=command.id,
            )
        )
        self.invalidate_model(flush=False)
