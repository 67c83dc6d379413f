from hypothesis import settings

# A slow machine is no fault.
settings.register_profile("portway", deadline=None)
settings.load_profile("portway")
