from decimal import Decimal

from odoo import models
from odoo.tools import SQL

from ..bulk import values
from ..engine import split_by_registers
from .energy_tariff_band import KEYS

# The columns of a reading's band registers, by rate period.
COLUMNS = {key: f"band_{number}" for number, (key, _label) in enumerate(KEYS, 1)}


class EnergyRating(models.AbstractModel):
    """Use put into rate periods as the meter itself counted it, where the terms say so."""

    _inherit = "energy.rating"

    def _load_registers(self, works):
        """Fetch the band registers of the readings of works whose terms go by them."""
        by_supply = {work.supply: work for work in works if work.by_meter and work.points}
        if not by_supply:
            return
        rows = self.env.execute_query(
            SQL(
                """
            SELECT v.supply, r.moment, %s
              FROM %s
              JOIN energy_reading_data r ON r.meter_id = v.meter AND r.state = 'accepted'
                   AND r.moment BETWEEN v.first AND v.last
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
