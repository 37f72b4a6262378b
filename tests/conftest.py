"""Settings of all tests."""

from hypothesis import Phase, settings

# A deadline measures how busy the machine is.
settings.register_profile("tests", deadline=None)
# A mutant is killed by the first example that fails, whatever the smallest one is.
settings.register_profile(
    "mutants", deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate]
)
settings.load_profile("tests")
