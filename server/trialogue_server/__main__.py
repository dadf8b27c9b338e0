"""``python -m trialogue_server`` is the command ``trialogue``."""

from __future__ import annotations

import sys

from trialogue_server.cli import main

if __name__ == "__main__":
    sys.exit(main())
