"""``python -m helpers.inference``, see `inference.main`."""

import sys

from helpers import cli, inference

if __name__ == "__main__":
    sys.exit(cli.run(inference.main))
