"""What names resolve to, without a name that hangs holding anybody else up."""

import asyncio
import socket
import threading
from collections.abc import Callable

#: Lookups under way, by event loop and name.
_under_way: dict[tuple[asyncio.AbstractEventLoop, str], asyncio.Future[list[str]]] = {}


async def resolve(host: str) -> list[str]:
    """Return the addresses of a name, each once, in the resolver's order.

    The resolver cannot be interrupted, and a name may hang in it for half a minute. Each name has a
    thread of its own and one at most: the threads that an event loop keeps for lookups are few and
    shared. Whoever gives up waiting leaves the lookup to the next one who asks.

    :raise OSError: the name has no address, or nobody says
    """
    loop = asyncio.get_running_loop()
    key = loop, host
    found = _under_way.get(key)
    if found is None:
        found = _under_way[key] = loop.create_future()
        found.add_done_callback(lambda future: _forget(key, future))
        threading.Thread(target=_ask, args=(loop, host, found), daemon=True).start()
    return await asyncio.shield(found)


def _forget(key: tuple[asyncio.AbstractEventLoop, str], found: asyncio.Future[list[str]]) -> None:
    _under_way.pop(key, None)
    # Looked at, so that asyncio does not complain where nobody waited any more.
    if not found.cancelled():
        found.exception()


def _ask(loop: asyncio.AbstractEventLoop, host: str, found: asyncio.Future[list[str]]) -> None:
    tell: Callable[..., None]
    try:
        rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        tell, what = found.set_result, list(dict.fromkeys(str(row[4][0]) for row in rows))
    except OSError as error:
        tell, what = found.set_exception, error
    except ValueError as error:
        tell, what = found.set_exception, OSError(f"{host!r} is no name: {error}")
    try:
        loop.call_soon_threadsafe(tell, what)
    except RuntimeError:
        # The loop has ended meanwhile: nobody waits.
        _under_way.pop((loop, host), None)
