"""``python -m helpers.corpora``, see `corpora.main`."""

import sys

from helpers import cli, corpora

if __name__ == "__main__":
    sys.exit(cli.run(corpora.main))
