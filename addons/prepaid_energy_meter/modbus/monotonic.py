"""The only place of this package that asks for the time: real seconds that never go back.

They serve time-outs, back-off and leases. The moment of a reading is the project clock's
and is handed in by the caller.
"""

import time

monotonic = time.monotonic
