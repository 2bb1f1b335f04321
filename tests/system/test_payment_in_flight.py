"""A payment meets a cut whose process was killed, at every crash point of the cut's way.

One room with a relay and a valve runs out again and again. At each turn the process that decides
and switches dies at the next point; the customer pays while it is dead, or as soon as it is back,
and in the end supply is on.
"""

from decimal import Decimal

import pytest
import site_plan
from planted_addons import planted
from running_site import HALF_HOUR
from tenancy import Tenancy

#: Where a cut dies, from the reading that shows the arrears to the confirmation: the crash point
#: and its hit since the reading was ordered, and the states in one of which an order is then.
#: The first commit is the reading's, the second one the decision's.
WAY = (
    ("reading_stored", ()),
    ("after_commit", ()),
    ("usage_written", ()),
    ("entry_written", ()),
    ("before_commit:2", ()),
    # The orders are announced by then, and not waited for.
    ("after_commit:2", ("queued", "sent", "confirmed")),
    ("write_sent", ("sent",)),
    ("before_read_back", ("sent",)),
    ("after_read_back", ("sent",)),
    ("order_confirmed", ("confirmed",)),
)
#: What the product could do wrong: file, line, what stands there instead; the payment after a kill
#: at `write_sent` that shows it, and what is found.
DEFECTS = {
    "an order that was sent is sent again": (
        "prepaid_energy_meter/connector/orders.py",
        'maybe_sent=order["state"] == "sent" or order["tries"] > 0',
        "maybe_sent=False",
        "when it is back",
        r"\['off', 'off', 'on'\]",
    ),
    "the payment's order is overtaken": (
        "prepaid_energy/models/energy_command_delivery.py",
        "AND h.number > c.number",
        "AND h.number < c.number",
        "while it is dead",
        "^relays at",
    ),
}
#: Where a payment dies.
PAYING = ("entry_written", "before_commit", "after_commit")
ACCOUNT = 1
RELAY, VALVE = site_plan.meters_of(ACCOUNT)
PRICE = Decimal(site_plan.TARIFFS[RELAY.tariff].prices["flat"][0])
OTHERS_RUNNING_OUT = (3, 5)


class Flight:
    """Turns on one site; of each is compared what the room's meters and orders went through."""

    def __init__(self, site):
        self.site = site
        self.tenancy = Tenancy(site)

    def begin(self):
        self.tenancy.begin()
        for account in OTHERS_RUNNING_OUT:
            self.site.pay(account, "900.00")
            self.tenancy.ledger.pay(account, "900.00")
        self._mark()

    def turn(self, at, pays):
        """One cut that dies on its way, and one payment.

        :param at: a row of WAY
        :param pays: "while it is dead" or "when it is back"
        """
        site = self.site
        point, states = at
        self._use_up()
        site.let_crash()
        site.order(RELAY.serial, "read")
        assert site.wait_for_crash() == point.partition(":")[0]
        self._assert_in_flight(states)
        self._note_reading()
        if pays == "while it is dead":
            site.take_money(ACCOUNT, "30.00")
        # Meanwhile all meters are due.
        site.move_clock(site.next_reading())
        site.start_again()
        if pays == "when it is back":
            site.take_money(ACCOUNT, "30.00")
        self._end()

    def pay_where_it_dies(self, point):
        """One cut, and one payment over which the server dies; the cashier tries again."""
        site = self.site
        self._use_up()
        site.order(RELAY.serial, "read")
        site.let_crash()
        site.take_money(ACCOUNT, "30.00")
        assert site.crashes()[-1] == point
        site.wait_until(site.is_settled, "the cut, and the payment")
        self._note_reading()
        site.move_clock(site.next_reading())
        self._end()

    def _end(self):
        self.tenancy.ledger.pay(ACCOUNT, "30.00")
        self.site.wait_until(self.site.is_settled, "the end of the cut, and of the payment")
        self.check()
        self._mark()

    def _use_up(self):
        """Between two readings, have so much used that a little more than the balance is gone."""
        self.site.step(self.site.next_reading() - HALF_HOUR)
        used = self.site.balances()[ACCOUNT] / PRICE + 2
        register = Decimal(self.site.registers()[RELAY.serial]) + used
        self.site.simulator.alter(RELAY.serial, register=register.quantize(Decimal("0.01")))

    def _note_reading(self):
        """The ordered reading counts if it was stored."""
        if self.site.value(
            "SELECT count(*) FROM energy_reading_data r JOIN energy_meter m ON m.id = r.meter_id"
            " WHERE m.name = %s AND r.moment = %s",
            RELAY.serial,
            self.site.moment,
        ):
            register = self.site.registers()[RELAY.serial]
            self.tenancy.ledger.read(RELAY.serial, self.site.moment, register)

    # What came since the last turn -------------------------------------------------------------

    def _mark(self):
        self._order, self._entry = self.site.row(
            "SELECT (SELECT max(id) FROM energy_command), (SELECT max(id) FROM energy_wallet_entry)"
        )
        self._sent_at_crash = self._confirmed_at_crash = frozenset()
        self._switched = {meter.serial: len(self._all(meter)) for meter in (RELAY, VALVE)}

    def _all(self, meter):
        """On and off as the meter obeyed them."""
        return [
            "off" if row["command"] in ("forced off", "close") else "on"
            for row in self.site.simulator.commands(meter.serial)
        ]

    def _orders(self, meter):
        """Orders of the turn: id, value, cause, state, and the outcomes of their attempts."""
        return self.site.rows(
            """
            SELECT c.id, c.value, c.cause, c.state,
                   ARRAY(SELECT a.outcome::text FROM energy_command_attempt a
                          WHERE a.command_id = c.id ORDER BY a.number)
              FROM energy_command c JOIN energy_meter m ON m.id = c.meter_id
             WHERE c.kind = 'supply' AND c.id > %s AND m.name = %s ORDER BY c.number
            """,
            self._order or 0,
            meter.serial,
        )

    def _assert_in_flight(self, states):
        """The process has died where it should."""
        orders = self._orders(RELAY) + self._orders(VALVE)
        found = {state for _id, _value, _cause, state, _attempts in orders}
        assert found & set(states) or not states, orders
        of_state = {state: set() for state in ("queued", "sent", "confirmed")}
        for key, _value, _cause, state, _attempts in orders:
            of_state[state].add(key)
        self._sent_at_crash, self._confirmed_at_crash = of_state["sent"], of_state["confirmed"]
        assert {value for _id, value, *_rest in orders} == ({"off"} if states else set())

    def check(self):
        site = self.site
        # Balances, readings of all meters, relays and what is known of them.
        self.tenancy.read()
        self.tenancy.check()
        for meter in (RELAY, VALVE):
            self._check_story(meter)
        paid = site.rows(
            "SELECT amount::text FROM energy_wallet_entry WHERE kind = 'top_up' AND id > %s",
            self._entry,
        )
        assert [Decimal(amount) for (amount,) in paid] == [Decimal("30.00")]

    def _check_story(self, meter):
        """What was ordered, tried and done of a supply fits together."""
        orders = self._orders(meter)
        story = f"{meter.serial}: {orders}"
        wanted = self.site.value(
            "SELECT c.wanted FROM energy_meter_control c JOIN energy_meter m ON m.id = c.meter_id"
            " WHERE m.name = %s",
            meter.serial,
        )
        # Of a supply that was never switched nothing is wanted.
        assert wanted in (("on",) if orders else ("on", None)), story
        assert [order[1] for order in orders] in ([], ["off", "on"]), story
        switched = self._all(meter)[self._switched[meter.serial] :]
        # Nothing twice, and no off after the payment's on.
        assert switched in ([], ["on"], ["off", "on"]), (switched, story)
        written, confirmed = set(), set()
        for key, value, cause, state, attempts in orders:
            assert cause == ("arrears" if value == "off" else "payment"), story
            assert state == "confirmed" or (value, state) == ("off", "overtaken"), story
            # A write is noted before it is sent: one that died between is noted twice.
            assert attempts.count("written") <= 1 + (key in self._sent_at_crash), story
            assert attempts.count("confirmed") == (state == "confirmed"), story
            assert "confirmed" not in attempts[:-1], story
            if "written" in attempts:
                written.add(value)
            if state == "confirmed":
                confirmed.add(value)
            self._check_log(key, value)
        assert confirmed <= set(switched) <= written, (switched, story)

    def _check_log(self, order, value):
        """One line says how an order ended."""
        if order in self._confirmed_at_crash:
            # It may have died before it could tell.
            return
        lines = rf"Order {order}, supply {value}: "
        self.site.wait_until(lambda: self.site.log_lines(lines), f"a line of order {order}")
        assert len(self.site.log_lines(lines)) == 1


def test_connector_is_killed(run_site):
    """At each point the customer pays before it is back; once there is a cut, also afterwards."""
    turns = [(at, "while it is dead") for at in WAY]
    turns += [(at, "when it is back") for at in WAY if at[1]]
    with run_site("flight") as site:
        site.start(
            victim="connector",
            crash_points=[point for (point, _states), _pays in turns],
            when_told=True,
            cron_threads=0,
        )
        flight = Flight(site)
        flight.begin()
        for at, pays in turns:
            flight.turn(at, pays)


def test_server_is_killed(run_site):
    """No connector runs: the server's scheduled actions decide and switch, and it takes the money
    as soon as it is back."""
    with run_site("flight", connector=False) as site:
        # Odoo's word for a scheduled action that was killed three times in a row.
        site.declared = r"ir_cron: Job '[^']*' \(\d+\) timed out"
        site.start(victim="server", crash_points=[point for point, _states in WAY], when_told=True)
        flight = Flight(site)
        flight.begin()
        for at in WAY:
            flight.turn(at, "when it is back")


def test_server_is_killed_over_the_payment(run_site):
    """The connector goes on meanwhile."""
    with run_site("flight") as site:
        site.start(victim="server", crash_points=PAYING, when_told=True, cron_threads=0)
        flight = Flight(site)
        flight.begin()
        for point in PAYING:
            flight.pay_where_it_dies(point)


@pytest.mark.parametrize("defect", DEFECTS)
def test_defects_are_caught(defect, run_site, tmp_path):
    *place, pays, found = DEFECTS[defect]
    at = ("write_sent", ("sent",))
    with (
        pytest.raises(AssertionError, match=found),
        run_site("flight", config=planted(tmp_path, *place)) as site,
    ):
        site.start(victim="connector", crash_points=[at[0]], when_told=True, cron_threads=0)
        flight = Flight(site)
        flight.begin()
        flight.turn(at, pays)
