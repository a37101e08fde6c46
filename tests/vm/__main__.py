"""python -m tests.vm"""

import sys

from .cli import main

sys.exit(main())
