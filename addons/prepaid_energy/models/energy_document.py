from odoo import _, api, fields, models
from odoo.exceptions import UserError

from .. import clock


class EnergyDocument(models.AbstractModel):
    """A numbered document: a draft that is carried out once, or given up, and then stays as it is.

    A model that inherits it has a sequence of its own name and carries itself out in
    `action_confirm`, which ends in `_set_done`.
    """

    _name = "energy.document"
    _description = "Document"
    _inherit = ["energy.guarded"]

    _flow_fields = frozenset({"name", "state", "done_at", "user_id"})
    _given_fields = frozenset({"name"})
    #: The many2one to the record whose company numbers the document.
    _numbered_by = None

    name = fields.Char(string="Number", required=True, readonly=True, copy=False, default="/")
    state = fields.Selection(
        [("draft", "Draft"), ("done", "Done"), ("cancelled", "Cancelled")],
        required=True,
        readonly=True,
        default="draft",
        copy=False,
        index=True,
    )
    done_at = fields.Datetime(readonly=True, copy=False)
    user_id = fields.Many2one(
        "res.users", string="Carried Out By", readonly=True, copy=False, ondelete="restrict"
    )

    @api.model_create_multi
    def create(self, vals_list):
        for vals in vals_list:
            company = self.env.company
            if self._numbered_by:
                record = self.env[self._fields[self._numbered_by].comodel_name]
                company = record.browse(vals.get(self._numbered_by)).company_id
            sequences = self.env["ir.sequence"].with_company(company)
            vals["name"] = sequences.next_by_code(self._name)
        return super().create(vals_list)

    @api.model
    def _guarded_refusal(self, names):
        """Override of `energy.guarded`."""
        if self._flow_fields.intersection(names):
            return _("A document is carried out by “Confirm”, never by hand.")
        return super()._guarded_refusal(names)

    def write(self, vals):
        self._refuse_guarded(vals)
        if vals and not self.env.su:
            self._check_draft()
        return super().write(vals)

    def _check_draft(self):
        """:raise UserError: one of them is no draft any more"""
        if any(document.state != "draft" for document in self):
            raise UserError(_("A document that is done or cancelled stays as it is."))

    def _check_not_done(self):
        """:raise UserError: it was carried out or cancelled; said to who confirms it again"""
        if self.state != "draft":
            raise UserError(_("%s was carried out or cancelled already.", self.display_name))

    def _check_has_come(self, moment):
        """:raise UserError: the moment (naive UTC) from which it counts lies in the future"""
        if moment > clock.now(self.env.cr):
            raise UserError(_("The moment lies in the future: confirm the document when it comes."))

    @api.ondelete(at_uninstall=False)
    def _unlink_except_done(self):
        if any(document.state == "done" for document in self):
            raise UserError(_("A document that was carried out is never deleted."))

    def action_cancel(self):
        """Give a draft up."""
        self.check_access("write")
        if any(document.state != "draft" for document in self):
            raise UserError(_("Only a draft is cancelled."))
        # sudo: the state is written by these methods only; the right to write has been checked
        self.sudo().write({"state": "cancelled"})

    def _set_done(self, **values):
        """Note that it was carried out now by the present user, with what the flow found."""
        # sudo: the state is written by the flow only; `action_confirm` checks the right to write
        self.sudo().write(
            {
                "state": "done",
                "done_at": clock.now(self.env.cr),
                "user_id": self.env.uid,
                **values,
            }
        )
