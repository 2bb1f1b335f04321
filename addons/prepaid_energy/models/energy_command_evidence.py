from odoo import fields, models

from ..kept_rows import refuse_changes

# What the delivery of an order writes while it waits; everything else stays as it was ordered.
DELIVERY_COLUMNS = (
    "state",
    "not_before",
    "waits_for",
    "tries",
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
