"""What a register can mean, independent of any device, with the unit its value comes in."""

BANDS = tuple(f"band_{number}" for number in range(1, 9))

#: Quantity of the commodity: kWh for electricity, m3 for water.
QUANTITY = "quantity"
QUANTITY_UNIT = {"electricity": "kWh", "water": "m3"}

#: Meaning to unit; None where there is none.
MEANINGS: dict[str, str | None] = {
    "total": QUANTITY,
    **dict.fromkeys(BANDS, QUANTITY),
    "export_total": QUANTITY,
    "power": "kW",
    "power_l1": "kW",
    "power_l2": "kW",
    "power_l3": "kW",
    "reactive_power": "kvar",
    "apparent_power": "kVA",
    "power_factor": None,
    "voltage": "V",
    "voltage_l2": "V",
    "voltage_l3": "V",
    "current": "A",
    "current_l2": "A",
    "current_l3": "A",
    "frequency": "Hz",
    "flow": "m3/h",
    "temperature": "degC",
    "battery": "V",
    "pipe": None,
    "supply_state": None,
    "load_control": None,
    "serial": None,
    "meter_number": None,
    "type_code": None,
    "ct_ratio": None,
    "pt_ratio": None,
    "encryption": None,
    "remaining_money": None,
    "remaining_quantity": QUANTITY,
    "purchase_count": None,
    "trip_count": None,
    "allowed_trips": None,
    "free_quantity": QUANTITY,
    "clock": None,
}

#: Bands of a meter's own time-of-use plan, in the order of the usual rate codes from 1.
PLAN_BANDS = ("sharp", "peak", "flat", "valley", "deep_valley")

SUPPLY_STATES = ("on", "off", "moving")
COMMODITIES = tuple(QUANTITY_UNIT)
CERTAINTIES = ("A", "B", "C")

#: What a quantity of the device counts: use, with the transformers' ratio in it, or what flows
#: through the meter itself, to be multiplied by that ratio.
VALUES = ("secondary", "primary")


def unit_of(meaning: str, commodity: str) -> str | None:
    """The unit in which values of ``meaning`` are kept for this commodity."""
    unit = MEANINGS[meaning]
    return QUANTITY_UNIT[commodity] if unit == QUANTITY else unit
