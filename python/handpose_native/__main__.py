"""``python -m handpose_native``."""

import sys

from .cli import main

sys.exit(main())
