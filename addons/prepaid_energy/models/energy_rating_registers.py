from decimal import Decimal
from itertools import pairwise

from odoo import models
from odoo.tools import SQL

from ..bulk import values
from ..engine import split_by_registers
from .energy_tariff_band import KEYS

# The columns of a reading's band registers, by rate period.
COLUMNS = {key: f"band_{number}" for number, (key, _label) in enumerate(KEYS, 1)}


class EnergyRating(models.AbstractModel):
    """Use put into rate periods as the meter itself counted it, where the terms say so.

    What was read while a clock finding of the meter was open has no band registers here, so that
    the use on both sides of it goes by platform time.
    """

    _inherit = "energy.rating"

    def _load_registers(self, works):
        """Fetch the band registers of the readings of works whose terms go by them."""
        by_supply = {work.supply: work for work in works if work.by_meter and work.points}
        if not by_supply:
            return
        self.env["energy.meter.finding"].flush_model()
        rows = self.env.execute_query(
            SQL(
                """
            SELECT v.supply, r.moment, %s
              FROM %s
              JOIN energy_reading_data r ON r.meter_id = v.meter AND r.state = 'accepted'
                   AND r.moment BETWEEN v.first AND v.last
             WHERE NOT EXISTS (
                   SELECT 1 FROM energy_meter_finding f
                    WHERE f.meter_id = v.meter AND f.kind = 'clock' AND f.since <= r.moment
                      AND (f.closed_at IS NULL OR f.closed_at >= r.moment))
            """,
                SQL(", ").join(SQL(f"r.{column}::text") for column in COLUMNS.values()),
                values(
                    [
                        (work.supply, work.meter, work.points[0].moment, work.points[-1].moment)
                        for work in by_supply.values()
                    ],
                    supply="int",
                    meter="int",
                    first="timestamp",
                    last="timestamp",
                ),
            )
        )
        for supply, moment, *registers in rows:
            by_supply[supply].registers[moment] = {
                key: Decimal(register)
                for key, register in zip(COLUMNS, registers, strict=True)
                if register is not None
            }

    @staticmethod
    def _whose_clock(work, begin, end, prices):
        """Return whose clock put the use of a supply between two moments into rate periods.

        :return: "platform", "meter" (its registers counted it) or "both"
        """
        if not work.by_meter:
            return "platform"
        points = [point for point in work.points if point.moment not in work.virtual]
        found = set()
        for span in work.spans_between(begin, end, prices):
            bands = set(span.version.bands)
            is_by_meter = work.goes_by_meter(span)
            for pair in pairwise(points):
                if pair[1].baseline or pair[0].moment >= span.end or pair[1].moment <= span.start:
                    continue
                is_read = all(bands <= work.registers.get(p.moment, {}).keys() for p in pair)
                found.add("meter" if is_by_meter and is_read else "platform")
        return "both" if len(found) > 1 else found.pop() if found else "platform"

    @staticmethod
    def _split_by_registers(work, spans):
        """Return the use of a supply in spans that go by the meter's own band registers.

        What the registers lack of the total goes to the rate period that takes the rest of the
        day, or to the last one. A reading that lacks one of the registers has none.
        """
        points = [point for point in work.points if point.moment not in work.virtual]
        cells = []
        for version in {span.version for span in spans}:
            bands = set(version.bands)
            registers = {
                moment: {band: read[band] for band in bands}
                for moment, read in work.registers.items()
                if bands <= read.keys()
            }
            cells += split_by_registers(
                points,
                registers,
                [span for span in spans if span.version is version],
                work.zone,
                version.rest_band or version.bands[-1],
                modulus=work.modulus,
            )
        return cells
