"""One reproducible training run: notebook 3."""

from helpers.training.augmentation import Augmentation, augment
from helpers.training.losses import rarity
from helpers.training.run import (
    Run,
    Start,
    band_statistics,
    predict,
    predict_with_quantiles,
    refit,
    statistics,
    train,
)
from helpers.training.starts import compare_starts
