"""What fails is told once, and must not stop the rest.

A lost connection to the database is no failure here: whoever runs a transaction waits for it.
"""

import asyncio
import logging

from odoo.addons.prepaid_energy.clock import monotonic

_logger = logging.getLogger(__name__)

#: Real seconds of rest after a failure.
PAUSE = 2.0
#: A loop that went on for so many real seconds since its last failure fails anew.
NEW_AFTER = 60.0


class Troubles:
    """Failures by what failed: each is logged once with its traceback, and once that it is over."""

    def __init__(self):
        self._told = {}

    def __contains__(self, what):
        return what in self._told

    def note(self, what, error):
        """Log an error, unless just that was logged for ``what`` last."""
        kind = f"{type(error).__name__}: {error}"
        if self._told.get(what) != kind:
            self._told[what] = kind
            _logger.error("%s failed, and is tried again", what, exc_info=error)

    def over(self, what):
        """Note that ``what`` works."""
        if self._told.pop(what, None):
            _logger.info("%s works again", what)


async def lasting(what, loop, troubles):
    """Run ``loop()`` until cancelled; after a failure and a rest it is begun again."""
    while True:
        began = monotonic()
        try:
            await loop()
        except Exception as error:  # noqa: BLE001 - told by `note`
            if monotonic() - began > NEW_AFTER:
                troubles.over(what)
            troubles.note(what, error)
            await asyncio.sleep(PAUSE)


class Parts:
    """Work on many items at once, of which one must not stop the others.

    Where it fails it is done again with each half of them, down to what fails alone. That is done
    by itself from then on, until it works again.

    :param str what: what the work is for an item, with %s for it
    """

    def __init__(self, what):
        self.what = what
        self.troubles = Troubles()
        self._apart = set()

    async def do(self, work, items):
        """Do ``await work(list of items)``.

        :return: list of what ``work`` returned for each part; the items that failed, with the error
        :raise Exception: nothing works, which is none of theirs
        """
        items = list(items)
        apart = [item for item in items if item in self._apart] if self._apart else []
        together = [item for item in items if item not in self._apart] if apart else items
        results, failed = [], {}
        for part in (together, *([item] for item in apart)):
            if part:
                await self._halve(work, part, results, failed)
        if failed and not results and len(items) > 1:
            raise next(iter(failed.values()))
        for item, error in failed.items():
            self._apart.add(item)
            self.troubles.note(self.what % item, error)
        return results, failed

    async def _halve(self, work, items, results, failed):
        try:
            results.append(await work(items))
        except Exception as error:  # noqa: BLE001 - told by `do`
            if len(items) == 1:
                failed[items[0]] = error
                return
        else:
            for item in self._apart.intersection(items):
                self._apart.discard(item)
                self.troubles.over(self.what % item)
            return
        middle = len(items) // 2
        for half in (items[:middle], items[middle:]):
            await self._halve(work, half, results, failed)
