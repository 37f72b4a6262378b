"""Settings of all tests."""

from hypothesis import settings

# A deadline measures how busy the machine is.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")
