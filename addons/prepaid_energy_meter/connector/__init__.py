"""The shell around `modbus`: brings meters and the database together.

Device work happens on one event loop and never inside a transaction; database work happens in
short transactions of its own, in threads.
"""

from .connector import Connector
