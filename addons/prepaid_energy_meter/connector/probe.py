"""The order *probe*: from its arguments to the job."""

from ..modbus.planning import Block
from ..modbus.probing import ProbeJob


def make_probe(order, hooks):
    """See :data:`.job_kinds.KINDS`. Arguments: unit, profile (id or None), compare (ids), blocks
    (lists of function, address, count).

    :raise ValueError: there is nothing to read, or it may not be read
    """
    arguments = order["arguments"]
    wanted = [arguments.get("profile"), *(arguments.get("compare") or ())]
    profiles = []
    for profile_id in filter(None, wanted):
        if profile_id not in order["profiles"]:
            raise ValueError("a profile of this probe cannot be used: correct it first")
        profiles.append(order["profiles"][profile_id])
    blocks = [Block(*block) for block in arguments.get("blocks") or ()]
    return ProbeJob(order["id"], arguments["unit"], profiles, blocks)
