from . import test_ledger
from . import test_settlement
from . import test_supply
