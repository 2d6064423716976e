"""Valence prediction from speech: the code behind the notebooks.

Rooms for the steps of the notebooks, and a few that all of them use. A room imports only from those
above it in this list; from outside, a package is used through the names that its ``__init__``
imports.

- `cli`: what all commands share, and the error of everything that a user can fix
- `storage`: folders, files that are written whole or not at all, the cache, a store of fits
- `settings`: the choices of a study: corpus, profile, seed
- `results`: what made a result, and the files that results are kept in
- `mp3`: those that do not say how long they are
- `audio`: any audio file as samples; what makes a recording useless
- `progress`: one look for every progress bar
- `downloads`: files from the internet, resumed and checked
- `archives`: zip and tar files, unpacked once into the cache
- `workers`: processes that networks are trained in
- `splits`: which clips are trained on, and which are tested on
- `corpora`: any rated speech as one table (notebook 1)
- `features`: clips as mel spectrograms and functionals, in the cache (notebook 2)
- `models`: Keras layers and networks (notebook 3)
- `training`: one reproducible training run (notebook 3)
- `evaluation`: scores with intervals, errors, bias (notebooks 3 and 5)
- `plots`: every figure
- `tuning`: many training runs: grid, search, cluster (notebook 4)
- `comparison`: models and baselines on the same folds, and across corpora (notebooks 6 and 8)
- `inference`: a trained network in one file, and the valence of any recording (notebook 7)

Importing the package imports none of them.
"""

import sys

# While Python looks for a command in here, it imports the package before the command runs.
if sys.argv[:1] == ["-m"] and any(each.startswith("helpers.") for each in sys.orig_argv):
    from helpers import cli

    cli.start()
