from . import energy_gateway
from . import energy_gateway_status
from . import energy_meter_profile
from . import energy_register
from . import energy_meter
