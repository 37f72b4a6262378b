"""How much is tried: little in `make test`, much in `make faults`."""

import os

from hypothesis import settings

FULL = os.environ.get("SLLAMA_FAULTS") == "full"

settings.register_profile("faults-quick", max_examples=50, deadline=None, derandomize=True)
settings.register_profile("faults-full", max_examples=10_000, deadline=None)

# A decorator, so that the tests of the rest keep their own profile.
INPUTS = settings(settings.get_profile("faults-full" if FULL else "faults-quick"))
