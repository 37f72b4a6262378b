"""Asks the advisory service about pinned packages: `python tests/security/audit.py FILE`.

Exit code 0: nothing known against them, or, with a line that says so, nobody to ask. 1: a package
has a known weakness.
"""

import json
import subprocess
import sys
from pathlib import Path

_PATIENCE_SECONDS = 300


def main(requirements: str) -> int:
    """Run pip-audit over a file of exact versions; nothing is installed or resolved."""
    command = [
        str(Path(sys.executable).with_name("pip-audit")),
        *("--requirement", requirements, "--no-deps", "--disable-pip", "--format", "json"),
        *("--progress-spinner", "off"),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE_SECONDS)
        packages = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        return _nothing_checked(f"no answer within {_PATIENCE_SECONDS} s")
    except ValueError:
        return _nothing_checked((done.stderr.strip().splitlines() or ["no answer"])[-1])
    # A service that knows not one of them is another one, or none.
    known = [package for package in packages if "skip_reason" not in package]
    if not known:
        return _nothing_checked("the service knows none of the packages")
    weak = [package for package in known if package["vulns"]]
    for package in weak:
        names = ", ".join(weakness["id"] for weakness in package["vulns"])
        print(f"{package['name']} {package['version']}: {names}")
    print(
        f"pip-audit: {len(known)} of {len(packages)} packages checked, "
        f"{len(weak)} with known weaknesses"
    )
    return 1 if weak else 0


def _nothing_checked(reason: str) -> int:
    print(f"pip-audit: skipped, nothing was checked ({reason}); run it where there is a network")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
