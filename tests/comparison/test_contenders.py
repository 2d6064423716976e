import numpy as np
import pytest

from helpers import comparison, features
from helpers.comparison import fits
from helpers.features import MelSettings
from helpers.training import Augmentation
from tests.comparison.conftest import fast


@pytest.mark.parametrize("by_speaker", [False, True])
def test_statistics_and_functionals_stand_side_by_side(corpus, by_speaker):
    contender = comparison.named("fusion", by_speaker=by_speaker)
    both = fits.inputs(corpus, contender)
    assert both.shape == (12, 2 * 12 + 2 * (3 + 2 + 19) + 13 + 3 * (2 * 7 + 2) + 88)
    if by_speaker:
        mine = both[corpus.clips["speaker"] == "s0"]
        assert mine.mean(axis=0) == pytest.approx(np.zeros(both.shape[1]), abs=1e-4)
    found = comparison.fit_all(corpus, {"fusion": fast(contender)}, folds=2)["fusion"]
    assert np.isfinite(found.predictions).all()


def test_contenders_have_the_functionals_that_their_names_say(corpus):
    def inputs(name):
        return fits.inputs(corpus, comparison.named(name))

    preprocessed = features.functionals(corpus, preprocessed=True)
    assert np.array_equal(inputs("egemaps_8k_svr"), preprocessed)
    assert np.array_equal(inputs("egemaps_network"), preprocessed)
    assert np.array_equal(inputs("fusion")[:, -88:], preprocessed)
    assert np.array_equal(inputs("egemaps_svr"), features.functionals(corpus))
    assert inputs("compare_svr").shape == (12, 6373)


def test_an_unknown_name_is_refused_with_those_that_there_are():
    with pytest.raises(comparison.ComparisonError, match="'magic' is no model: .*fusion"):
        comparison.named("magic")


def test_the_four_branches_have_the_filters_of_the_profile():
    assert comparison.named("parallel_cnn").options == {"filters": 200}
    assert comparison.named("parallel_cnn", filters=24).options == {"filters": 24}
    assert comparison.ideas(24)["parallel_cnn instead"].options == {"filters": 24}


def test_a_tuned_network_is_trained_as_the_search_trained_it():
    contender = comparison.tuned({"dropout": 0.3, "filters": 8, "epochs": 4, "weight_decay": 0.1})
    assert contender.network == "parallel_cnn"
    assert contender.options["dropout"] == 0.3 and contender.options["filters"] == 8
    assert contender.options["units"] == (400, 200)
    assert contender.training == {
        "batch_size": 16, "epochs": 4, "learning_rate": 1e-3, "weight_decay": 0.1
    }  # fmt: skip
    plain = comparison.Contender("parallel_cnn", {"filters": 200})
    assert comparison.tuned({}) != plain  # all is named


def test_balance_and_augmentation_decide_the_key():
    plain, balanced, augmented = (
        comparison.Contender("parallel_cnn", mel=MelSettings(), **change).as_dict()
        for change in ({}, {"balanced": True}, {"augmentation": Augmentation(masks=1)})
    )
    assert balanced == {**plain, "balanced": True}
    assert augmented["augmentation"]["masks"] == 1 and not augmented["balanced"]


def test_contenders_by_name_are_different(corpus):
    for by_speaker in (False, True):
        found = [comparison.named(name, by_speaker=by_speaker) for name in comparison.NAMES]
        assert len({str(each) for each in found}) == len(comparison.NAMES)
