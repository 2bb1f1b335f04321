from . import energy_profile_import
