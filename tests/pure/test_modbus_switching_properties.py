"""C3, C4, C5, C6, C20 at the wire, each check with planted defects that it catches."""

import pytest
import test_modbus_bus as bus
from planted_defects import planted

from modbus import device, framing, profile

START, LOOK = device.ModbusDriver._start, device.ModbusDriver._look
CONFIRMED = "if state == pending.order.wanted:"
CASES = [
    # C3: acknowledged, but the relay did not move.
    (bus.test_acknowledged_write_without_movement_is_not_confirmed, LOOK, CONFIRMED, "if True:"),
    # C4: not acknowledged, but it moved: no second write.
    (
        bus.test_lost_acknowledgement_is_cured_by_the_read_back_without_a_second_write,
        START,
        "except (NoAnswer, WrongAnswer) as error:",
        "except WrongAnswer as error:",
    ),
    # An exception to the write says nothing of the relay, and most may be passing.
    (
        bus.exceptions_to_a_write_are_judged_by_the_read_back,
        START,
        "is_final = error.code in ModbusException.NOT_POSSIBLE",
        "is_final = True",
    ),
    (
        bus.exceptions_to_a_write_are_judged_by_the_read_back,
        LOOK,
        "if pending.is_final:",
        "if False:",
    ),
    # C5: another unit's reply.
    (
        bus.test_answer_of_another_unit_confirms_nothing,
        framing.TcpFraming.answer,
        "elif unit != asked.unit:",
        "elif False:",
    ),
    # C6: what may have been sent is read first.
    (
        bus.test_order_maybe_sent_before_a_crash_is_looked_at_first,
        START,
        "if seen.state == order.wanted and order.maybe_sent:",
        "if False:",
    ),
    # C20: while a valve moves nothing else is written, and what stopped on its way is sent again.
    (
        bus.test_valve_that_moves_already_is_waited_for_before_anything_is_written,
        START,
        'if seen.state == "moving" and not order.waited:',
        "if False:",
    ),
    (
        bus.test_valve_that_stopped_on_its_way_is_named_and_sent_again,
        START,
        'if seen.state == "moving" and not order.waited:',
        'if seen.state == "moving":',
    ),
    (
        bus.test_moving_valve_is_waited_for_and_holds_nobody_up,
        LOOK,
        "if look_at <= pending.give_up_at and silent < MOST_SILENT_LOOKS:",
        "if False:",
    ),
    # Moving is a state that is told, once.
    (
        bus.test_moving_valve_is_waited_for_and_holds_nobody_up,
        LOOK,
        'if state == "moving" and not pending.told:',
        "if False:",
    ),
    (
        bus.test_moving_valve_is_waited_for_and_holds_nobody_up,
        LOOK,
        'if state == "moving" and not pending.told:',
        'if state == "moving":',
    ),
    # C11: a trip is told as such only while the supply is not on.
    (
        lambda: _trips(0x2010, None),
        profile.Profile.trip_of,
        'self.control.state_of(int(flags)) == "on"',
        "False",
    ),
]


def _trips(flags, trip):
    from test_modbus_profile import load

    assert load("acrel_ddsy1352").trip_of({"supply_state": flags}) == trip


@pytest.mark.parametrize(("check", "function", "line", "instead"), CASES)
def test_planted_defect_is_caught(check, function, line, instead):
    check()
    with planted(function, line, instead), pytest.raises((AssertionError, bus.NoAnswer)):
        check()
