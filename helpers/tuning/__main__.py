"""``python -m helpers.tuning``, see `tuning.main`."""

import sys

from helpers import cli, tuning

if __name__ == "__main__":
    sys.exit(cli.run(tuning.main))
