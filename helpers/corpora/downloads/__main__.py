"""``python -m helpers.corpora.downloads``, see `downloads.main`."""

import sys

from helpers import cli
from helpers.corpora import downloads

if __name__ == "__main__":
    sys.exit(cli.run(downloads.main))
