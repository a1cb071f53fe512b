"""`python -m unghost` is the command `unghost`."""

import sys

from unghost.cli import main

if __name__ == "__main__":
    sys.exit(main())
