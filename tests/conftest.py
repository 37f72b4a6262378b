"""Settings of all tests."""

import atexit
import os
import shutil
import tempfile

from hypothesis import Phase, settings

# transformers copies the code of every model folder that it loads, and reads this when imported.
if "HF_MODULES_CACHE" not in os.environ:
    os.environ["HF_MODULES_CACHE"] = tempfile.mkdtemp(prefix="sllama-modules-")
    atexit.register(shutil.rmtree, os.environ["HF_MODULES_CACHE"], ignore_errors=True)

# A deadline measures how busy the machine is.
settings.register_profile("tests", deadline=None)
# A mutant is killed by the first example that fails, whatever the smallest one is.
settings.register_profile(
    "mutants", deadline=None, derandomize=True, phases=[Phase.explicit, Phase.generate]
)
settings.load_profile("tests")
