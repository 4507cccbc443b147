"""``python -m mlwb``."""

from __future__ import annotations

import sys

from mlwb.cli import main

if __name__ == "__main__":
    sys.exit(main())
