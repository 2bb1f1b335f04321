"""The order *scan*: from its arguments to the job."""

from ..modbus.scanning import TIMEOUT, ScanJob


def make_scan(order, _hooks):
    """See :data:`.job_kinds.KINDS`. Arguments: first and last unit or `units` (a list), profiles
    (ids), timeout (seconds, or None).

    :raise ValueError: there is nothing to look for
    """
    arguments = order["arguments"]
    units = arguments.get("units") or range(arguments["first"], arguments["last"] + 1)
    profiles = {
        profile_id: order["profiles"][profile_id]
        for profile_id in arguments["profiles"]
        if profile_id in order["profiles"]
    }
    return ScanJob(order["id"], units, profiles, arguments.get("timeout") or TIMEOUT)
