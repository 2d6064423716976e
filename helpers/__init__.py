"""Valence prediction from speech: the code behind the notebooks.

Flat, one module a concern. To be loaded, each needs only those above it in this list:

- `settings`: where things are, quick or full, what made a result
- `progress`: one look for every progress bar
- `workers`: processes that networks are trained in
- `errors`: what callers may want to catch
- `audio`: audio files of any format as blocks of samples
- `layouts`: known corpora and where they keep their labels
- `archives`: zip files, unpacked once
- `labels`: which file says what of which clip
- `checks`: which clips can be used, and why others cannot
- `downloads`: open corpora by name, from the internet
- `corpora`: any rated speech as one table
- `features`: audio as mel spectrograms, cached
- `acoustics`: what can be measured of a clip
- `baselines`: eGeMAPS functionals and what to compare a network with
- `splits`: who is trained on, who is tested on
- `backend`: Keras, imported quietly and seeded
- `layers`: what the networks are made of
- `losses`: what they learn to make small
- `models`: the networks
- `augmentation`: other clips made of those in training
- `training`: one reproducible training run
- `evaluation`: metrics with intervals, errors, bias
- `significance`: what goes with large errors beyond chance
- `explanation`: what a network listens to
- `comparison`: models and baselines on the same folds
- `trials`: trainings stored once, run side by side, here or on a cluster
- `tuning`: a grid of settings and what it says
- `bayesian`: the search beyond the grid
- `cards`: what is known of a trained network
- `inference`: a trained network in one file, and the valence of any recording
- `plots`: every figure
- `recorder`: a model tried on a recording, in a notebook

Importing the package imports none of them, so that a script which only reads a corpus never waits
for TensorFlow.
"""
