"""Command line: `python -m simulator --help`, started in the add-on's folder."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from .clock import ClockError, DatabaseFollower, ProjectClock
from .control import DEFAULT_PORT, LOOPBACK, Control, ControlError, ControlServer
from .faults import FAULTS
from .outage import OUTAGES
from .site import Site, SiteError, load_site

try:
    # Serves more requests on one core than the standard library's.
    from uvloop import new_event_loop
except ImportError:
    from asyncio import new_event_loop


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="simulator", description="A Modbus TCP site of many meters in one process."
    )
    verbs = top.add_subparsers(dest="verb", required=True)

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        sub = verbs.add_parser(name, help=text, description=text)
        sub.add_argument(
            "--control", type=int, default=DEFAULT_PORT, metavar="PORT", help="control port"
        )
        return sub

    run = verb("run", "run a site until it is stopped; prints one JSON line when all ports listen")
    run.add_argument("site", type=Path, metavar="SITE.json")
    run.add_argument("--host", default=LOOPBACK, help="address of the gateways")
    run.add_argument("--state", type=Path, help="file that keeps what was switched over a restart")
    clock = run.add_mutually_exclusive_group()
    clock.add_argument("--clock-database", metavar="DSN", help="follow a database's clock")
    clock.add_argument("--clock-anchor", type=datetime.fromisoformat, metavar="ISO")
    run.add_argument("--clock-speed", default=None, metavar="N", help="0 = frozen, stepped")

    verb("list", "gateways and their meters")
    for name, text in (
        ("relay", "state of each relay and valve"),
        ("registers", "register and exact energy of each meter"),
        ("commands", "every command the meters obeyed"),
    ):
        verb(name, text).add_argument("serial", nargs="?")
    alter = verb("alter", "change what a device is or says")
    alter.add_argument("serial")
    alter.add_argument("--register", help="a reset, or a counter about to roll over")
    alter.add_argument("--answers-as", metavar="SERIAL", help="another serial number")
    alter.add_argument("--clock-ahead", type=int, metavar="SECONDS")
    alter.add_argument("--ct-ratio", type=int)
    alter.add_argument("--pt-ratio", type=int)
    alter.add_argument("--encrypted", action=argparse.BooleanOptionalAction, default=None)
    alter.add_argument("--stuck", nargs="*", metavar="L1", help="relays that do not move")
    swap = verb("swap", "have two meters change places")
    swap.add_argument("serial")
    swap.add_argument("other")
    verb("stats", "counts of each gateway")
    verb("stop", "end the simulator")

    clock_verb = verb("clock", "show, set or step the project clock")
    clock_verb.add_argument("--set", type=datetime.fromisoformat, metavar="ISO", dest="project")
    clock_verb.add_argument("--speed")
    clock_verb.add_argument("--step", metavar="SECONDS")

    fault = verb("fault", "show, inject or clear faults")
    fault.add_argument("action", choices=("list", "add", "clear"))
    fault.add_argument("kind", nargs="?", choices=sorted(FAULTS))
    fault.add_argument("--gateway", type=int, metavar="PORT")
    fault.add_argument("--unit", type=int)
    fault.add_argument("--count", type=int, help="number of requests it acts on")
    fault.add_argument("--duration", type=float, help="real seconds it lasts")
    fault.add_argument("--ms", type=float, help="of a delay")
    fault.add_argument(
        "--with",
        action="append",
        default=[],
        dest="parameters",
        metavar="NAME=JSON",
        help="another parameter of the fault, for example code=11",
    )
    fault.add_argument("--id", type=int, help="the one to clear")

    outage = verb("outage", "have a gateway refuse or swallow connections; without a kind, end it")
    outage.add_argument("gateway", type=int, metavar="PORT")
    outage.add_argument("kind", nargs="?", choices=OUTAGES)
    outage.add_argument("--duration", type=float, help="real seconds it lasts")
    master = verb("second_master", "have another system poll a bus; without --ms, end it")
    master.add_argument("gateway", type=int, metavar="PORT")
    master.add_argument("--ms", type=float, help="milliseconds of real time between two polls")
    return top


async def run(options: argparse.Namespace) -> None:
    speed = "1" if options.clock_speed is None else options.clock_speed
    if options.clock_speed is not None and options.clock_database:
        raise SiteError("--clock-speed: a followed database sets the speed")
    clock = ProjectClock(options.clock_anchor, speed)
    site: Site = load_site(options.site, clock)
    if options.state:
        site.keep_state(options.state)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    control = ControlServer(site, stopped.set)
    follower = None
    try:
        if options.clock_database:
            follower = DatabaseFollower(clock, options.clock_database)
            await follower.start()
        await site.listen(options.host)
        port = await control.listen(options.control)
        ready = {
            "ready": True,
            "control": port,
            "gateways": [gateway.port for gateway in site.gateways],
            "meters": len(site.meters()),
        }
        print(json.dumps(ready), flush=True)
        await stopped.wait()
    finally:
        control.close()
        site.close()
        if follower:
            follower.close()


def ask(options: argparse.Namespace) -> Any:
    with Control(LOOPBACK, options.control) as control:
        if options.verb in ("relay", "registers", "commands"):
            return control.call(options.verb, serial=options.serial)
        if options.verb == "clock":
            if options.step is not None:
                return control.step_clock(options.step)
            if options.project is not None or options.speed is not None:
                return control.set_clock(options.project, options.speed)
            return control.clock()
        if options.verb in ("alter", "swap"):
            given = {k: v for k, v in vars(options).items() if k not in ("verb", "control")}
            return control.call(options.verb, **given)
        if options.verb == "fault":
            if options.action == "list":
                return control.faults()
            if options.action == "clear":
                return control.clear_faults(options.gateway, options.id)
            if options.kind is None or options.gateway is None:
                raise ControlError("fault add: a kind and --gateway are needed")
            parameters = {} if options.ms is None else {"ms": options.ms}
            for text in options.parameters:
                name, _is, value = text.partition("=")
                parameters[name] = json.loads(value)
            return control.add_fault(
                options.gateway,
                options.kind,
                options.unit,
                options.count,
                options.duration,
                **parameters,
            )
        if options.verb == "outage":
            return control.outage(options.gateway, options.kind, options.duration)
        if options.verb == "second_master":
            return control.second_master(options.gateway, options.ms)
        return control.call(options.verb)


def show(result: Any) -> None:
    """One JSON object a line."""
    for line in result if isinstance(result, list) else [result]:
        print(json.dumps(line, ensure_ascii=False))


def main() -> int:
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    options = parser().parse_args()
    try:
        if options.verb == "run":
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                runner.run(run(options))
        else:
            show(ask(options))
    except (SiteError, ClockError, ControlError, ValueError, OSError) as error:
        print(f"simulator: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
