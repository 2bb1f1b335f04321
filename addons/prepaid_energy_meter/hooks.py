"""What uninstalling does beyond the models' own tables."""

# Commands are never deleted, but those that nobody knows how to carry out any more.
SQL_OWN_COMMANDS = """
    ALTER TABLE energy_command DISABLE TRIGGER energy_command_refuse_change;
    ALTER TABLE energy_command_attempt DISABLE TRIGGER energy_attempt_refuse_change;
    DELETE FROM energy_command_attempt a USING energy_command c
     WHERE c.id = a.command_id AND c.kind IN ('probe', 'scan', 'clock');
    DELETE FROM energy_command WHERE kind IN ('probe', 'scan', 'clock');
    ALTER TABLE energy_command ENABLE TRIGGER energy_command_refuse_change;
    ALTER TABLE energy_command_attempt ENABLE TRIGGER energy_attempt_refuse_change;
"""


def uninstall_hook(env):
    """Drop the settings of this add-on; its meters go back to typed readings by themselves."""
    env.cr.execute(SQL_OWN_COMMANDS)
    # Without their gateway they would be nobody's.
    env["energy.meter.finding"].search([("gateway_id", "!=", False)]).unlink()
    env["ir.config_parameter"].search([("key", "=like", "prepaid_energy_meter.%")]).unlink()
    # Odoo forgets the rows in which it keeps the foreign keys of a module.
    env["ir.model.constraint"].search(
        [("module.name", "=", "prepaid_energy_meter"), ("type", "=", "f")]
    ).unlink()
