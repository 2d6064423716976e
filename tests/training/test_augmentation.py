from dataclasses import fields

import numpy as np
import pytest

from helpers.training import Augmentation, augment

RANDOM = np.random.default_rng(0)
CLIPS = RANDOM.normal(-30, 10, (6, 16, 40)).astype("float32")
RATINGS = np.linspace(1, 5, 6, dtype="float32")

AMOUNTS = {"masks": 2, "noise": 1.0}


def changed(seed=0, **amounts):
    rng = np.random.default_rng(seed)
    return augment(CLIPS, RATINGS, Augmentation(**amounts), fill=-30, rng=rng)


def test_nothing_is_changed_unless_asked_for():
    clips, ratings = changed()
    assert np.array_equal(clips, CLIPS) and np.array_equal(ratings, RATINGS)
    assert {each.name for each in fields(Augmentation)} == {*AMOUNTS, "mask_share"}


@pytest.mark.parametrize("name", AMOUNTS)
def test_a_change_follows_the_seed_and_leaves_its_input_alone(name):
    before = CLIPS.copy()
    first, again, other = (changed(seed, **{name: AMOUNTS[name]}) for seed in (1, 1, 2))
    assert np.array_equal(CLIPS, before)
    assert np.array_equal(first[0], again[0]) and not np.array_equal(first[0], other[0])
    assert first[0].dtype == np.float32 and first[0].shape == CLIPS.shape
    assert np.array_equal(first[1], RATINGS)


@pytest.mark.parametrize("name", AMOUNTS)
def test_padding_stays_padding(name):
    padded = CLIPS.copy()
    padded[:, :, 20:] = -80.1
    amounts, rng = Augmentation(**{name: AMOUNTS[name]}), np.random.default_rng(0)
    clips, _ = augment(padded, RATINGS, amounts, fill=-30, rng=rng)
    padding = (clips == clips.min(axis=(1, 2), keepdims=True)).all(axis=1).sum(axis=1)
    assert (padding == 20).all()


def test_masks_leave_the_rest_as_it_was():
    clips, _ = changed(masks=1)
    masked = clips != CLIPS
    assert 0 < masked.mean() < 0.3 and (clips[masked] == -30).all()


def test_noise_adds_power_of_the_ratio_that_is_meant():
    clips, _ = changed(noise=1.0)
    before, after = 10 ** (CLIPS / 10), 10 ** (clips / 10)
    ratio = 10 * np.log10(before.mean((1, 2)) / (after - before).mean((1, 2)))
    assert ((ratio > 4.9) & (ratio < 30.1)).all()
