"""Hears what the database announces, on a connection of its own."""

import asyncio
import logging

import psycopg2
from odoo import sql_db

_logger = logging.getLogger(__name__)

PAUSE = 1.0


class Listener:
    """Calls ``heard(channel, payload)`` on the event loop for every announcement.

    After a lost connection it connects again and calls ``heard(channel, "")`` for every channel,
    because announcements may have been missed.
    """

    def __init__(self, database, channels, heard):
        self.database = database
        self.channels = channels
        self.heard = heard
        self._connection = None
        self._lost = asyncio.Event()

    async def run(self):
        """Listen until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                self._connection = await loop.run_in_executor(None, self._connect)
            except psycopg2.Error as error:
                _logger.info("Cannot listen to database %s: %r", self.database, str(error))
                await asyncio.sleep(PAUSE)
                continue
            self._lost.clear()
            # A lost connection no longer knows its number.
            number = self._connection.fileno()
            loop.add_reader(number, self._read)
            try:
                for channel in self.channels:
                    self.heard(channel, "")
                await self._lost.wait()
            finally:
                loop.remove_reader(number)
                self._connection.close()
            await asyncio.sleep(PAUSE)

    def _connect(self):
        _name, info = sql_db.connection_info_for(self.database)
        connection = psycopg2.connect(**info)
        connection.autocommit = True
        with connection.cursor() as cr:
            for channel in self.channels:
                cr.execute(psycopg2.sql.SQL("LISTEN {}").format(psycopg2.sql.Identifier(channel)))
        return connection

    def _read(self):
        try:
            self._connection.poll()
        except psycopg2.Error as error:
            _logger.info("Lost the connection that listens: %s", str(error).splitlines()[0])
            self._lost.set()
            return
        notifies, self._connection.notifies = self._connection.notifies, []
        for notify in notifies:
            self.heard(notify.channel, notify.payload)
