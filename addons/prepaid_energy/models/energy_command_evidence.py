from odoo import fields, models

from ..kept_rows import refuse_changes

# What the delivery of an order writes while it waits; everything else stays as it was ordered.
DELIVERY_COLUMNS = (
    "state",
    "not_before",
    "waits_for",
    "tries",
    "unreached",
    "sent_at",
    "done_at",
    "result",
    "request",
    "response",
    "error",
)


class EnergyCommand(models.Model):
    """The database keeps orders as they were given and as they ended."""

    _inherit = "energy.command"

    attempt_ids = fields.One2many("energy.command.attempt", "command_id", string="Attempts")
    # Without a default: rows that are at their end are not filled.
    unreached = fields.Integer(
        string="Times Not Reached",
        readonly=True,
        help="How often the meter did not answer, so that nothing was written. Of such attempts "
        "the first one, the second, the fourth, the eighth and so on have a row below.",
    )

    def init(self):
        result = super().init()
        columns = ", ".join(f"'{name}'" for name in DELIVERY_COLUMNS)
        # Only names from the list above are put into the statement.
        # pylint: disable-next=sql-injection
        self.env.cr.execute(f"""
            CREATE OR REPLACE FUNCTION energy_command_refuse_change() RETURNS trigger
            LANGUAGE plpgsql AS $$
            BEGIN
                IF TG_OP = 'UPDATE' THEN
                    IF OLD.state IN ('queued', 'sent')
                       AND to_jsonb(NEW) - ARRAY[{columns}] = to_jsonb(OLD) - ARRAY[{columns}]
                    THEN
                        RETURN NEW;
                    END IF;
                    RAISE EXCEPTION 'Command % stays as it was ordered and as it ended.', OLD.id
                          USING ERRCODE = 'restrict_violation';
                END IF;
                RAISE EXCEPTION 'Commands are never deleted.'
                      USING ERRCODE = 'restrict_violation';
            END $$;
        """)
        refuse_changes(self.env.cr, "energy_command", "energy_command_refuse_change")
        return result

    def _note_unreached(self, evidence, error):
        """Note an attempt that wrote nothing, by a row where it is one to have a row.

        A meter that is away for months is tried every few minutes; what it takes to know since
        when, by whom and why fits into a few rows. Whatever follows upon a write has one.
        """
        count = self.unreached + 1
        last = self.env["energy.command.attempt"].search(
            [("command_id", "=", self.id)], order="number desc", limit=1
        )
        if last.outcome != "unreached" or count.bit_count() == 1:
            self._note("unreached", evidence, error)
