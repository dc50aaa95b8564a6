"""The join of a net and a linear part, against what is known of made-up logits."""

from __future__ import annotations

import numpy as np
import pytest

from fastlstm.models.joined import FIRST, PRIOR, Join, _loss, calibrate, join, join_unseen, spread
from fastlstm.nn.losses import log_softmax

CLASSES = (2, 4)


def logits(rng, labels, classes, strength, noise=1.0):
    """Logits that say the right class with a strength, and err by noise of their own."""
    z = noise * rng.standard_normal((len(labels), classes))
    z[np.arange(len(labels)), labels] += strength
    return z[:, 1] - z[:, 0] if classes == 2 else z


def loss(z, labels):
    z = np.stack([np.zeros_like(z), z], axis=1) if z.ndim == 1 else z
    return -log_softmax(z)[np.arange(len(labels)), labels].mean()


def parts(seed, count, classes, net, linear):
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=count)
    return logits(rng, labels, classes, net), logits(rng, labels, classes, linear), labels


@pytest.mark.parametrize("classes", CLASSES)
def test_two_good_parts_are_better_joined(classes):
    net, linear, labels = parts(0, 4000, classes, 1.0, 1.0)
    found = join(net[:2000], linear[:2000], labels[:2000])
    unseen = loss(found.logits(net[2000:], linear[2000:]), labels[2000:])
    alone = [z * calibrate(z[:2000], labels[:2000]) for z in (net, linear)]
    assert unseen < min(loss(z[2000:], labels[2000:]) for z in alone) - 0.05
    assert 0.4 < found.net_share < 0.6


@pytest.mark.parametrize("classes", CLASSES)
def test_a_useless_part_is_not_heard(classes):
    net, linear, labels = parts(1, 4000, classes, 0.0, 2.0)
    found = join(net, linear, labels)
    assert found.net < 0.05
    assert found.net_share < 0.05
    other = join(linear, net, labels, calibration=calibrate(net, labels))
    assert other.linear < 0.05
    assert other.net_share > 0.95
    assert other.net == pytest.approx(found.linear, rel=0.05)


def test_a_part_that_is_wrong_says_nothing():
    net, linear, labels = parts(2, 2000, 2, -2.0, 2.0)
    found = join(net, linear, labels)
    assert found.net == found.net_share == 0


def test_few_texts_do_not_decide():
    """Of two equally good parts neither is silenced by chance, whatever 20 texts say."""
    shares = []
    for seed in range(30):
        net, linear, labels = parts(100 + seed, 20, 2, 1.0, 1.0)
        shares.append(join(net, linear, labels).net_share)
    assert 0.05 < min(shares)
    assert max(shares) < 0.65
    assert FIRST[0] < np.mean(shares) < 0.4  # a fifth before any text, a half after many


def test_many_texts_decide_alone():
    net, linear, labels = parts(100, 20_000, 2, 1.0, 1.0)
    assert join(net, linear, labels).net_share == pytest.approx(0.5, abs=0.03)


def test_an_overconfident_net_is_calibrated():
    net, linear, labels = parts(3, 4000, 3, 1.5, 1.5)
    plain, loud = join(net, linear, labels), join(10 * net, linear, labels)
    assert loud.net == pytest.approx(plain.net / 10, rel=0.02)
    assert loud.linear == pytest.approx(plain.linear, rel=0.02)
    assert loud.net_share == pytest.approx(plain.net_share, abs=0.01)


def test_the_factor_makes_the_loss_least():
    rng = np.random.default_rng(4)
    labels = rng.integers(2, size=500)
    z = logits(rng, labels, 2, 1.0) * 3
    found = calibrate(z, labels)
    whole = np.stack([np.zeros_like(z), z], axis=1)[None]
    tried = [
        _loss(whole, labels, np.array([found + d]), np.ones(1), np.ones(500))
        for d in (-1e-3, 0, 1e-3)
    ]
    assert tried[1] < min(tried[0], tried[2])
    assert found < 0.6


def test_weights_are_copies():
    net, linear, labels = parts(5, 300, 3, 1.0, 0.5)
    times = np.arange(300) % 3
    rows = np.repeat(np.arange(300), times)
    weighted = join(net, linear, labels, weights=times.astype(float))
    copied = join(net[rows], linear[rows], labels[rows])
    assert weighted.net == pytest.approx(copied.net)
    assert weighted.linear == pytest.approx(copied.linear)


def test_without_texts_held_back_the_linear_part_has_the_most_to_say():
    net, linear, _ = parts(6, 500, 3, 1.0, 1.0)
    found = join_unseen(8 * net, linear, calibration=0.5)
    assert found.linear == 0.4
    assert found.net * spread(8 * net) == pytest.approx(0.1 * spread(linear))
    assert found.net_share == pytest.approx(0.2)
    assert join_unseen(0.01 * net, linear).net == 0.2  # never louder than it is
    assert join_unseen(0 * net, linear) == Join(0.2, 0.8, 0.0)


def test_no_texts_leave_the_prior():
    none = np.zeros((0, 3))
    found = join(none, none, np.zeros(0, np.int64), calibration=0.8)
    assert (found.net, found.linear) == pytest.approx((0.2, 0.64))
    assert PRIOR > 0


@pytest.mark.parametrize("classes", CLASSES)
def test_each_part_has_its_own_factor(classes):
    net, linear, _ = parts(7, 9, classes, 1.0, 1.0)
    found = Join(0.25, 3.0, 0.5).logits(net.astype(np.float32), linear)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, 0.25 * net + 3 * linear, rtol=1e-6, atol=1e-6)
