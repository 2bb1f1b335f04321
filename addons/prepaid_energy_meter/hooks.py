"""What uninstalling does beyond the models' own tables."""


def uninstall_hook(env):
    """Drop the settings of this add-on; its meters go back to typed readings by themselves."""
    # Without their gateway they would be nobody's.
    env["energy.meter.finding"].search([("gateway_id", "!=", False)]).unlink()
    env["ir.config_parameter"].search([("key", "=like", "prepaid_energy_meter.%")]).unlink()
    # Odoo forgets the rows in which it keeps the foreign keys of a module.
    env["ir.model.constraint"].search(
        [("module.name", "=", "prepaid_energy_meter"), ("type", "=", "f")]
    ).unlink()
