"""Decoding: readers find what is there, find nothing where there is nothing, and learn from training sounds alone."""

import numpy as np
import pytest

from testtone.probes import decoding

rng = np.random.default_rng(0)


def bits(sounds, labels, seed=0):
    return np.random.default_rng(seed).integers(0, 2, (sounds, labels)).astype(float)


def test_what_is_written_in_the_features_is_read():
    labels = bits(200, 4)
    features = labels @ rng.normal(size=(4, 30)) + 0.1 * rng.normal(size=(200, 30))
    folds = np.arange(200) % 5
    assert decoding.areas(decoding.held_out(features, labels, folds), labels, folds) == pytest.approx(np.ones(4))


def test_the_area_of_one_noisy_feature_is_that_of_its_d_prime():
    labels = bits(4000, 1)
    features = 1.5 * labels + np.random.default_rng(1).normal(size=(4000, 1))
    said = decoding.held_out(features, labels, np.arange(4000) % 5)
    # AUC = Phi(d' / sqrt 2) for two normals a distance d' apart (Green & Swets 1966): .8556 for 1.5.
    assert decoding.areas(said, labels)[0] == pytest.approx(0.8556, abs=0.015)


def test_nothing_is_read_where_there_is_nothing_however_many_features():
    labels = bits(200, 20)
    features = np.random.default_rng(2).normal(size=(200, 500))
    folds = np.arange(200) % 5
    found = decoding.areas(decoding.held_out(features, labels, folds), labels, folds)
    assert found.mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("kind", ["few", "many", "twice", "faint"])
def test_a_reader_agrees_with_the_normal_equations(kind):
    """However many features, and where some say the same, or nearly."""
    draws = np.random.default_rng(7)
    features = draws.normal(size=(45, 60 if kind == "many" else 6))
    if kind in ("twice", "faint"):
        near = 1e-6 * draws.normal(size=features.shape) if kind == "faint" else 0.0
        features = np.concatenate([features, features + near], axis=1)
    train, test, labels = features[:40], features[40:], draws.normal(size=(40, 1))
    said = decoding.ridge(train, labels, test)
    z = (train - train.mean(0)) / train.std(0)
    probe = (test - train.mean(0)) / train.std(0)
    singular = np.linalg.svd(z)[1]
    scale = np.mean(singular[singular > 1e-9 * singular[0]] ** 2)
    many = z.shape[1]

    def left_out(strength):
        errors = []
        for i in range(40):
            rest = np.delete(np.arange(40), i)
            # The mean is left out with the sound, the scale of the features is not: both as the formula has it.
            x = z[rest] - z[rest].mean(0)
            y = labels[rest] - labels[rest].mean()
            w = np.linalg.solve(x.T @ x + strength * np.eye(many), x.T @ y)
            errors.append(float(labels[i, 0] - labels[rest].mean() - ((z[i] - z[rest].mean(0)) @ w)[0]) ** 2)
        return np.mean(errors)

    best = min(decoding.STRENGTHS * scale, key=left_out)
    w = np.linalg.solve(z.T @ z + best * np.eye(many), z.T @ (labels - labels.mean()))
    assert said == pytest.approx(labels.mean() + probe @ w, abs=1e-9)


def test_sounds_of_one_fold_are_not_learned_from():
    """A label that is a private mark of each fold can be read only by peeking."""
    folds = np.repeat(np.arange(10), 20)
    labels = (folds % 2).astype(float)[:, None]
    features = np.eye(10)[folds] + 0.01 * rng.normal(size=(200, 10))
    assert decoding.areas(decoding.held_out(features, labels, folds), labels)[0] < 0.6
    assert decoding.areas(decoding.held_out(features, labels, np.arange(200) % 5), labels)[0] > 0.99


def test_dead_features_say_the_mean():
    said = decoding.ridge(np.ones((10, 3)), bits(10, 2), np.ones((4, 3)))
    assert said == pytest.approx(np.broadcast_to(bits(10, 2).mean(0), (4, 2)))


def test_areas_within_groups_ignore_what_groups_differ_by():
    labels = np.array([[0.0], [1.0], [0.0], [1.0]])
    said = np.array([[0.0], [1.0], [10.0], [11.0]])
    assert decoding.areas(said, labels, np.array([0, 0, 1, 1]))[0] == 1.0
    assert decoding.areas(said, labels)[0] == 0.75
    assert np.isnan(decoding.areas(said, np.ones((4, 1)))[0])


@pytest.mark.parametrize(
    ("train", "labels", "test", "message"),
    [
        (np.ones((2, 1)), np.ones((2, 1)), np.ones((1, 1)), "train holds 2 sounds"),
        (np.ones((4, 2)), np.ones((3, 1)), np.ones((1, 2)), "must be 'sounds features'"),
        (np.ones((4, 2)), np.ones((4, 1)), np.ones((1, 3)), "must be 'sounds features'"),
    ],
    ids=["too few sounds", "other labels", "other features"],
)
def test_bad_shapes_are_named(train, labels, test, message):
    with pytest.raises(ValueError, match=message):
        decoding.ridge(train, labels, test)
