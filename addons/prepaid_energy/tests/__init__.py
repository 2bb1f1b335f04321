from . import test_operation
from . import test_access
from . import test_checker
from . import test_ledger
from . import test_room_list
from . import test_schema
from . import test_settlement
from . import test_supply
