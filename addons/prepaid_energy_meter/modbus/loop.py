"""The event loop of whoever talks to many gateways."""

try:
    # The same loop in C: about half as many readings more on one core.
    from uvloop import new_event_loop
except ImportError:
    from asyncio import new_event_loop

__all__ = ["new_event_loop"]
