"""The connector at a Modbus server that is not ours: pyModbusTCP with a DDSY1352's registers.

The registers are written down by hand from the register facts: 32-bit values high word first,
energies in 0.01 kWh.
"""

import subprocess
from contextlib import closing

import pytest
from database_identity import database_identity
from pyModbusTCP.server import DataBank, ModbusServer
from site_plan import HOUR, START

from tools import folders, log_gate, odoo_command, postgres, processes

METER = "E26030004"  # account 5: a deposit of 3.00, tariff "time of use"
FORCED_CONTROL, RELAYS = 0x0057, 0x0224
CLOSED, FORCED = 0x2000, 0x0008


class Ddsy1352(DataBank):
    """Twenty kWh after the opening register 493.80: 513.80 = 51380 hundredths = 0000 C8B4."""

    def __init__(self):
        super().__init__()
        self.written = []
        self.set_holding_registers(
            0x0000,
            [
                *(0x0000, 0xC8B4),  # total 513.80
                *(0x0000, 0x01F4),  # sharp 5.00
                *(0x0000, 0x02BC),  # peak 7.00
                *(0x0000, 0xC2D8),  # flat 498.80
                *(0x0000, 0x012C),  # valley 3.00
                0x0000,
                0x0908,  # 231.2 V
                0x04E7,  # 12.55 A
                0x0B55,  # 2.901 kW
                0x0000,
                0x0B56,  # 2.902 kVA
                0x03E7,  # power factor 0.999
            ],
        )
        self.set_holding_registers(FORCED_CONTROL, [1, 0])
        self.set_holding_registers(0x0200, [7])
        self.set_holding_registers(RELAYS, [CLOSED | FORCED])

    def on_holding_registers_change(self, address, from_value, to_value, srv_info):
        self.written.append((srv_info.recv_frame.mbap.unit_id, address, to_value))
        closed = 0 if self.get_holding_registers(FORCED_CONTROL, 2) == [1, 1] else CLOSED
        self.set_holding_registers(RELAYS, [closed | FORCED])


@pytest.fixture
def device():
    bank = Ddsy1352()
    server = ModbusServer("127.0.0.1", processes.free_port(), no_block=True, data_bank=bank)
    server.start()
    yield bank, server.port
    server.stop()


def test_the_connector_reads_and_switches_an_independent_server(
    site_template, fresh_database, device
):
    bank, port = device
    database = fresh_database(site_template, "energy_system_independent")
    with closing(postgres.connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE energy_meter SET active = FALSE WHERE name <> %s", [METER])
        cursor.execute(
            "UPDATE energy_gateway SET active = (id = (SELECT gateway_id FROM energy_meter"
            "  WHERE name = %s)), port = %s, armed_identity = %s, cut_release_identity = %s",
            [METER, port, *[database_identity(cursor)] * 2],
        )
        cursor.execute("UPDATE energy_clock SET project_anchor = %s, speed = 0", [START + HOUR])

        done = subprocess.run(
            odoo_command.command("energy_connector", "-d", database, "--until-idle"),
            env=odoo_command.environment(),
            cwd=folders.ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

        assert done.returncode == 0, done.stderr
        assert log_gate.complaints(done.stderr.splitlines()) == []
        cursor.execute(
            "SELECT r.moment, r.total::text, r.band_1::text, r.band_2::text, r.band_3::text,"
            "       r.band_4::text, r.state"
            "  FROM energy_reading_data r JOIN energy_meter m ON m.id = r.meter_id"
            " WHERE m.name = %s ORDER BY r.moment DESC LIMIT 1",
            [METER],
        )
        registers = ("513.80", "5.00", "7.00", "498.80", "3.00")
        assert cursor.fetchone() == (START + HOUR, *registers, "accepted")
        cursor.execute(
            "SELECT s.voltage, s.current, s.power, s.supply_state, s.is_online"
            "  FROM energy_meter_status s JOIN energy_meter m ON m.id = s.meter_id"
            " WHERE m.name = %s",
            [METER],
        )
        *measured, supply, is_online = cursor.fetchone()
        assert [float(value) for value in measured] == [231.2, 12.55, 2.901]
        assert (supply, is_online) == ("off", True)
        # 20 kWh from midnight to one, in the valley: 3.00 - 20 x 0.3012 = -3.024
        cursor.execute(
            "SELECT w.balance::text FROM energy_wallet w JOIN energy_supply s USING (account_id)"
            "  JOIN energy_meter m ON m.id = s.meter_id WHERE m.name = %s",
            [METER],
        )
        assert cursor.fetchone() == ("-3.02",)
    assert [(address, value) for _unit, address, value in bank.written] == [(0x0058, 1)]
    assert bank.get_holding_registers(FORCED_CONTROL, 2) == [1, 1]
