"""Acrel DTSY1352, a three-phase prepaid meter with a relay in each phase.

As the DDSY1352 but for: type code 5; all phases of block 0200 in use; day plans at 2000 and 2015;
relay bits 5, 6 and 7 of 0224, high byte, one a phase. Where the facts are silent the simulated
device decides: block 0000 shows phase L1's voltage and current and the power of all; the load is
spread evenly over the phases; what flows through a transformer counts as it flows through the
meter.
"""

from __future__ import annotations

import struct
from typing import ClassVar

from .ddsy1352 import VOLTAGE, Ddsy1352


class Dtsy1352(Ddsy1352):
    type = "dtsy1352"
    type_code: ClassVar[int] = 5
    plans_at: ClassVar[int] = 0x2000
    parts: ClassVar[int] = 3

    def _block_0000(self, second: int) -> bytes:
        block = bytearray(super()._block_0000(second))
        struct.pack_into(">H", block, 2 * 0x0C, 100 * self._phases(second)[0] // VOLTAGE)
        return bytes(block)
