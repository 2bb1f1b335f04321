"""Settle what is queued in a database; print the accounts settled and the peak of memory in kB.

A process of its own: only so is its peak that of settling. `getrusage` would tell the peak of the
process that started it where that is higher.
"""

import sys
from contextlib import closing
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

from bench_population import odoo_registry  # noqa: E402

if __name__ == "__main__":
    with odoo_registry(sys.argv[1]) as (registry, environment):
        with closing(registry.cursor()) as cr:
            done = environment(cr)["energy.settlement"]._run()
        status = Path("/proc/self/status").read_text(encoding="ascii")
        print(done, status.partition("VmHWM:")[2].split()[0])
