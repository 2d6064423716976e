"""``python -m helpers.comparison``, see `comparison.main`."""

import sys

from helpers import cli, comparison

if __name__ == "__main__":
    sys.exit(cli.run(comparison.main))
