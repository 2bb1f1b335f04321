from . import energy_probe, energy_profile_import
