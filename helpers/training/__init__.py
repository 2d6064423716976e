"""One reproducible training run: notebook 3."""

from helpers.training.augmentation import Augmentation as Augmentation
from helpers.training.augmentation import augment as augment
from helpers.training.run import Run as Run
from helpers.training.run import band_statistics as band_statistics
from helpers.training.run import predict as predict
from helpers.training.run import rarity as rarity
from helpers.training.run import statistics as statistics
from helpers.training.run import train as train
