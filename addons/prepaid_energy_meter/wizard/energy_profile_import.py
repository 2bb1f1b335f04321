import base64
import binascii
import json

from odoo import _, api, fields, models
from odoo.exceptions import UserError

from ..modbus.errors import ProfileError
from ..modbus.profile import Profile

#: More than any map needs.
LONGEST_FILE = 1_000_000


class EnergyProfileImport(models.TransientModel):
    """Make a meter profile from a file."""

    _name = "energy.profile.import"
    _description = "Import of a meter profile"

    file = fields.Binary(attachment=False)
    file_name = fields.Char()
    code = fields.Char(
        compute="_compute_code",
        store=True,
        readonly=False,
        help="Unique short name. Where the file's is taken, the next free one is offered.",
    )
    name = fields.Char(string="Type of Meter", compute="_compute_found")
    summary = fields.Text(string="What Is in It", compute="_compute_found")
    problems = fields.Text(compute="_compute_found")

    @api.depends("file")
    def _compute_code(self):
        for wizard in self:
            data = wizard._data()[0]
            code = data.get("code")
            wizard.code = (
                self.env["energy.meter.profile"]._free_code(code.strip())
                if isinstance(code, str) and code.strip()
                else False
            )

    @api.depends("file")
    def _compute_found(self):
        for wizard in self:
            data, problem = wizard._data()
            wizard.name = wizard.summary = False
            wizard.problems = problem
            if problem or not wizard.file:
                continue
            try:
                profile = Profile.from_dict(data)
            except ProfileError as error:
                wizard.problems = "\n".join(error.problems)
                continue
            wizard.name = profile.name
            lines = [
                _("%s registers", len(profile.registers)),
                _("Source: %s", profile.source),
                _("Certainty: %s", profile.certainty),
            ]
            known = self.env["energy.meter.profile"].with_context(active_test=False)
            taken = known.search([("code", "=", profile.code)])
            if taken:
                lines.append(
                    _("The code %(code)s belongs to %(name)s.", code=taken.code, name=taken.name)
                    + (" " + _("That one is archived.") if not taken.active else "")
                )
            if profile.control and profile.control.confirmed:
                lines.append(
                    _("That its control was confirmed on a device elsewhere is not taken over.")
                )
            wizard.summary = "\n".join(lines)

    def _data(self):
        """Return the file's dictionary and what is wrong with the file itself, if anything."""
        self.ensure_one()
        if not self.file:
            return {}, False
        try:
            text = base64.b64decode(self.file, validate=True)
            if len(text) > LONGEST_FILE:
                return {}, _("The file is too long to be a profile.")
            data = json.loads(text.decode("utf-8-sig"))
        except (binascii.Error, UnicodeDecodeError) as error:
            return {}, _("The file is no text: %s", error)
        except json.JSONDecodeError as error:
            return {}, _(
                "Line %(line)s, column %(column)s: %(what)s",
                line=error.lineno,
                column=error.colno,
                what=error.msg,
            )
        except RecursionError:
            return {}, _("The file is no profile.")
        if not isinstance(data, dict):
            return {}, _("The file is no profile: it has no names and values.")
        return data, False

    def action_import(self):
        """Make the profile and open it."""
        self.ensure_one()
        if not self.file:
            raise UserError(_("Choose a file."))
        if self.problems:
            raise UserError(self.problems)
        profiles = self.env["energy.meter.profile"]
        code = (self.code or "").strip()
        if not code or profiles._free_code(code) != code:
            raise UserError(_("Another profile has the code %s: choose one of its own.", code))
        values, registers = profiles._from_dict(self._data()[0])
        profile = profiles.create(
            dict(values, code=code, register_ids=[fields.Command.create(r) for r in registers])
        )
        return profile._open()
