"""`./dev postgres start|stop|env`: the server alone, with the template database."""

from . import databases, postgres
from .progress import Refusal, say


def main(arguments: list[str]) -> int:
    match arguments:
        case ["start"]:
            postgres.start()
            databases.ensure_template()
        case ["stop"]:
            postgres.stop()
        case ["env"]:
            for name, value in postgres.environment().items():
                say(f"export {name}={value}")
        case _:
            raise Refusal("usage: ./dev postgres start|stop|env")
    return 0
