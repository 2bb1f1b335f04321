from odoo import fields, models

from ..models.energy_reading import HELD_REASONS


class Number(fields.Integer):
    """The id of a reading: their number outgrows four bytes."""

    _column_type = ("int8", "int8")


class EnergyReadingReviewLine(models.Model):
    """One reading of a decision, and what became of it."""

    _name = "energy.reading.review.line"
    _description = "Reading decided about"
    _log_access = False
    _order = "review_id, id"
    _rec_name = "meter_id"

    review_id = fields.Many2one(
        "energy.reading.review", required=True, readonly=True, index=True, ondelete="cascade"
    )
    reading_id = Number(string="Reading Number", required=True, readonly=True)
    meter_id = fields.Many2one(
        "energy.meter", required=True, readonly=True, index=True, ondelete="cascade"
    )
    property_id = fields.Many2one(related="meter_id.property_id")
    moment = fields.Datetime(required=True, readonly=True)
    total = fields.Float(string="Reading", digits=(18, 4), readonly=True, aggregator=False)
    cause = fields.Selection(HELD_REASONS, string="Held Because", readonly=True)
    site_id = fields.Many2one("energy.property", readonly=True, index=True, ondelete="restrict")
    company_id = fields.Many2one("res.company", readonly=True, index=True, ondelete="cascade")
    state = fields.Selection(
        [("waiting", "Waiting"), ("done", "Done"), ("refused", "Refused")],
        required=True,
        readonly=True,
        default="waiting",
    )
    result = fields.Char(readonly=True)

    _waiting_idx = models.Index("(review_id, id) WHERE state = 'waiting'")
