"""One client of simulated gateways: told on stdin what to do, prints what it did.

A process of its own, so that its processor time and its memory are its own. Stdin is one line of
JSON: `kind`, `ports`, `units` (how many behind each port), `profile`, `seconds`, and `counted`, the
ports whose reads count (all of them otherwise). It connects, warms up, counts for so many seconds
and prints `rate` (readings a second), `cpu` (share of one core) and `rss` (MB).

Kinds: `ours` (the connector's buses: decoded, and handed over in a list as to storage), `bare`
(pymodbus's own client, one task a connection, words only), `points` (as MyEMS reads: modbus_tk, all
gateways' meters strictly in turn, one request a register of the profile that is polled, each
decoded and handed over), `idle_ours` and `idle_bare` (connected, each unit read once,
then nothing).
"""

import asyncio
import gc
import ipaddress
import json
import resource
import sys
import time
from datetime import UTC, datetime
from itertools import cycle
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "addons" / "prepaid_energy_meter"))

WARM_UP = 1.0
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"),)


def main() -> None:
    task = json.loads(sys.stdin.readline())
    kind = task["kind"]
    if kind == "points":
        result = one_point_a_request(task)
    elif kind.endswith("ours"):
        result = run_ours(task)
    else:
        result = asyncio.run(run_bare(task))
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    result["rss"] = pages * resource.getpagesize() / 1e6
    print(json.dumps(result))


class Counter:
    """Counts what happens between the end of the warm-up and the end."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.count = seconds, 0

    async def measure(self, is_idle: bool) -> dict:
        await asyncio.sleep(WARM_UP)
        self.count = 0
        started, used = time.perf_counter(), time.process_time()
        await asyncio.sleep(0 if is_idle else self.seconds)
        took = time.perf_counter() - started
        return {
            "rate": self.count / took if took else 0,
            "cpu": (time.process_time() - used) / took if took else 0,
        }


def run_ours(task: dict) -> dict:
    from modbus.loop import new_event_loop

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        return runner.run(read_by_buses(task))


async def read_by_buses(task: dict) -> dict:
    from modbus.bus import Bus, Events
    from modbus.client import GatewayClient, Timing
    from modbus.device import ModbusDriver
    from modbus.driver import FieldMeter, OrderHooks
    from modbus.framing import TcpFraming
    from modbus.link import TcpLink
    from modbus.profile import Profile

    profile = Profile.from_dict(task["profile"])
    is_idle = task["kind"] == "idle_ours"
    counter = Counter(task["seconds"])
    handed_over: list = []

    async def may_write(_order, _request):
        return ""

    def moment():
        return datetime.now(UTC).replace(tzinfo=None, microsecond=0)

    def bus_of(number: int, port: int, counts: bool) -> Bus:
        def snapshot(taken):
            if counts:
                counter.count += 1
            handed_over.append(taken)
            if len(handed_over) >= 5000:
                handed_over.clear()
            if not is_idle:
                bus.ask_read(taken.meter)

        events = Events(
            snapshot=snapshot,
            missed=lambda _meter, _health: None,
            finished=lambda _order, _outcome: None,
            gateway=lambda _health: None,
        )
        link = TcpLink("127.0.0.1", port, LOOPBACK)
        client = GatewayClient(link, TcpFraming(), Timing(connect=30))
        bus = Bus(ModbusDriver(client), events, OrderHooks(may_write=may_write), moment)
        first = 1000 * number
        bus.set_meters(
            FieldMeter(first + unit, str(first + unit), unit, profile)
            for unit in range(1, task["units"] + 1)
        )
        for unit in range(1, task["units"] + 1):
            bus.ask_read(first + unit)
        return bus

    counted = set(task.get("counted") or task["ports"])
    tasks = [
        asyncio.create_task(bus_of(number, port, port in counted).run())
        for number, port in enumerate(task["ports"], start=1)
    ]
    result = await counter.measure(is_idle)
    for running in tasks:
        running.cancel()
    result["held"] = len(handed_over)
    return result


async def run_bare(task: dict) -> dict:
    from pymodbus.client import AsyncModbusTcpClient

    is_idle = task["kind"] == "idle_bare"
    counter = Counter(task["seconds"])
    blocks = _blocks(task["profile"])

    async def poll(port: int):
        client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=30)
        await client.connect()
        while True:
            for unit in range(1, task["units"] + 1):
                for address, count in blocks:
                    answer = await client.read_holding_registers(
                        address, count=count, device_id=unit
                    )
                    if answer.isError() or len(answer.registers) != count:
                        raise ValueError(answer)
                counter.count += 1
            if is_idle:
                await asyncio.Event().wait()

    tasks = [asyncio.create_task(poll(port)) for port in task["ports"]]
    result = await counter.measure(is_idle)
    for running in tasks:
        if running.done():
            running.result()
        running.cancel()
    return result


def one_point_a_request(task: dict) -> dict:
    from modbus_tk.defines import READ_HOLDING_REGISTERS
    from modbus_tk.modbus_tcp import TcpMaster

    from modbus.codec import decode
    from modbus.profile import Profile

    points = Profile.from_dict(task["profile"]).polled
    clients = [TcpMaster("127.0.0.1", port) for port in task["ports"]]
    for client in clients:
        client.open()
    meters = cycle([(client, unit) for unit in range(1, task["units"] + 1) for client in clients])
    handed_over: list = []
    count, started = 0, time.perf_counter()
    while time.perf_counter() < started + task["seconds"]:
        client, unit = next(meters)
        values = {}
        for point in points:
            words = client.execute(unit, READ_HOLDING_REGISTERS, point.address, point.words)
            values[point.meaning] = decode(words, point.encoding)
        handed_over.append(values)
        if len(handed_over) >= 5000:
            handed_over.clear()
        count += 1
    return {"rate": count / (time.perf_counter() - started), "points": len(points)}


def _blocks(profile: dict) -> list[tuple[int, int]]:
    from modbus.profile import Profile

    return [(block.address, block.count) for block in Profile.from_dict(profile).poll_blocks]


if __name__ == "__main__":
    main()
