"""``python -m helpers.features``, see `features.main`."""

import sys

from helpers import cli, features

if __name__ == "__main__":
    sys.exit(cli.run(features.main))
