import numpy as np
import pytest

from helpers import comparison, training
from helpers.comparison import fits
from tests.comparison.conftest import fast


def test_every_idea_is_another_contender():
    ideas = comparison.ideas()
    assert len({str(each) for each in ideas.values()}) == len(ideas)


@pytest.mark.parametrize(
    "idea",
    [
        "no pitch, noise",
        "attention_cnn instead",
        "attention_cnn instead, batches by length",
    ],
)
def test_ideas_can_be_fitted(corpus, idea):
    contender = fast(comparison.ideas()[idea])
    found = comparison.fit_all(corpus, {idea: contender}, folds=2, which=[1])[idea]
    assert np.isfinite(found.predictions).all()


def test_balance_and_augmentation_reach_the_training_by_its_hooks(corpus, monkeypatch):
    asked = []

    def train(model, matrix, ratings, split, **options):
        asked.append((matrix, ratings, split, options))
        return real(model, matrix, ratings, split, **options)

    real = training.train
    monkeypatch.setattr(fits.training, "train", train)
    ideas = comparison.ideas()
    compared = {
        name: fast(ideas[name]) for name in ("balanced", "no pitch, SpecAugment", "no pitch")
    }
    found = comparison.fit_all(corpus, compared, folds=2, which=[0])
    assert all(np.isfinite(each.predictions).all() for each in found.values())
    (_, ratings, split, balanced), (matrix, _, _, augmented), (*_, plain) = asked
    assert np.array_equal(balanced["sample_weight"], training.rarity(ratings, split.train))
    change = augmented["transform"]
    assert change.keywords["amounts"] == ideas["no pitch, SpecAugment"].augmentation
    assert change.keywords["fill"] == pytest.approx(matrix[split.train].mean(dtype=float))
    assert "transform" not in balanced and "sample_weight" not in augmented
    assert not {"transform", "sample_weight"} & set(plain)
