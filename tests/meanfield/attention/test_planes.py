"""The RoPE planes of query and key against plain T x T sums: R, its gradient, and their flow."""

import math

import mpmath
import numpy as np
import pytest

from meanfield import ParameterError, Parameters, generated
from meanfield.attention import planes as attention
from meanfield.attention import typical
from meanfield.attention.planes import FlowError
from tests.meanfield.attention.plain import plain_gradient, plain_retrieval

DEFAULT = Parameters(N=20, T=10)


def drawn(p, seed=1):
    """Query and key of one seed."""
    q, k = typical.draw(p, 1, rng_seed=seed)
    return q[0], k[0]


@pytest.mark.parametrize(("T", "d", "base"), [(2, 2, 10.0), (5, 6, 10.0), (9, 8, 1e4)])
def test_retrieval_and_its_gradient_against_plain_sums(T, d, base):
    parameters = Parameters(N=4, T=T, d_head=d, rope_theta=base)
    omega = np.array(parameters.frequencies)
    rng = np.random.default_rng(4)
    p = 2 * (rng.normal(size=d // 2) + 1j * rng.normal(size=d // 2))
    R, missing, gradient = attention.retrieval(
        attention.planes(parameters), np.concatenate([p.real, p.imag])
    )
    assert pytest.approx(plain_retrieval(p, T, omega), rel=1e-13) == R
    assert R + missing == pytest.approx(1, rel=1e-14)
    H = plain_gradient(p, T, omega)
    assert gradient == pytest.approx(np.concatenate([H.real, -H.imag]), abs=1e-9)


def test_nothing_learned_is_one_in_T():
    planes = attention.planes(Parameters(N=4, T=7))
    assert attention.retrieval(planes, np.zeros(64))[0] == pytest.approx(1 / 7, rel=1e-14)


def test_planes_of_swapped_query_and_key_are_conjugate():
    q, k = drawn(DEFAULT)
    one, other = attention.heads(q, k), attention.heads(k, q)
    re, im = attention.pair(one.p)
    assert attention.pair(other.p)[0] == pytest.approx(re, abs=1e-15)
    assert attention.pair(other.p)[1] == pytest.approx(-im, abs=1e-15)
    assert other.imbalance == pytest.approx(-one.imbalance, abs=1e-15)
    sizes = generated.plane_size(re, im, one.imbalance)
    by_entry = (q**2 + k**2).reshape(2, -1).sum(axis=0)
    assert sizes == pytest.approx(by_entry, rel=1e-13)


@pytest.mark.parametrize("scale", [1.0, 30.0, 300.0])
def test_what_is_missing_of_R_keeps_its_digits(scale):
    p = Parameters(N=4, T=5, d_head=8)
    rope = attention.planes(p)
    _, _, ahead = attention.retrieval(rope, np.zeros(8))
    vector = scale * ahead / np.linalg.norm(ahead)
    R, missing, gradient = attention.retrieval(rope, vector)
    with mpmath.workdps(60):
        u = [
            sum(map(mpmath.fmul, map(mpmath.mpf, row), map(mpmath.mpf, vector)))
            for row in rope.waves
        ]
        rows = [[mpmath.exp(u[4 + t - x]) for x in range(5)] for t in range(5)]
        exact = sum(1 - row[t] / sum(row) for t, row in enumerate(rows)) / 5
        assert missing == pytest.approx(float(exact), rel=1e-12, abs=0)
    assert missing < {1.0: 1, 30.0: 1e-2, 300.0: 1e-20}[scale]
    assert pytest.approx(missing, abs=1e-15) == 1 - R
    assert np.linalg.norm(gradient) < 2 * missing  # it falls with what is missing


def test_the_flow_only_climbs():
    p = Parameters(N=4, T=3)
    planes, heads = attention.planes(p), attention.mean_heads(p, np.ones(1))
    for logit_R in ([-0.6931], [-1.0], [0.0, -0.1]):
        with pytest.raises(ValueError, match=r"must ascend from \[-0\.69314718\], where"):
            attention.gradients(planes, heads, np.array([logit_R]) - 1e-4)


def test_rows_of_attention():
    """Against the products of turned vectors, position by position; R is the mean diagonal."""
    p = Parameters(N=8, T=4, d_head=16)
    q, k = drawn(p, seed=3)
    rope, heads = attention.planes(p), attention.heads(q, k)
    rows = attention.rows(rope, heads.p)

    def turned(vector, position):
        return (vector[:8] + 1j * vector[8:]) * np.exp(1j * position * np.array(p.frequencies))

    for t in range(p.T):
        own = turned(q, p.T + 1 + t)
        u = [np.sum(own * turned(k, j + 1).conj()).real / 4 for j in range(p.T)]
        np.testing.assert_allclose(rows[t], np.exp(u) / np.sum(np.exp(u)), rtol=1e-12)
    R, _, _ = attention.retrieval(rope, heads.p)
    assert np.mean(np.diagonal(rows)) == pytest.approx(float(R), rel=1e-13)
    logit_R = attention.logit_R(rope, heads.p)
    assert float(logit_R) == pytest.approx(math.log(R / (1 - R)), rel=1e-13)


def test_heads_side_by_side_are_those_one_by_one():
    p = Parameters(N=8, T=5, d_head=6)
    q, k = typical.draw(p, 4)
    rope, together = attention.planes(p), attention.heads(q, k)
    R, missing, H = attention.retrieval(rope, together.p)
    for row in range(4):
        one = attention.heads(q[row], k[row])
        assert together.p[row] == pytest.approx(one.p, rel=1e-15)
        assert together.imbalance[row] == pytest.approx(one.imbalance, rel=1e-15)
        for many, single in zip((R, missing, H), attention.retrieval(rope, one.p), strict=True):
            assert many[row] == pytest.approx(single, rel=1e-12, abs=1e-16)


def test_the_gradient_G_is_that_of_query_and_key_all_along_the_flow():
    """|grad_q R|^2 + |grad_k R|^2 by differences of the entries, at the start and further on."""
    p = Parameters(N=8, T=4, d_head=6, rope_theta=20.0)
    rope = attention.planes(p)
    q, k = drawn(p, seed=2)

    def R_of(q, k):
        return float(attention.retrieval(rope, attention.heads(q, k).p)[0])

    def slopes(q, k):
        steps = 1e-5 * np.eye(6)
        return (
            np.array([(R_of(q + by, k) - R_of(q - by, k)) / 2e-5 for by in steps]),
            np.array([(R_of(q, k + by) - R_of(q, k - by)) / 2e-5 for by in steps]),
        )

    heads = attention.heads(q[None], k[None])
    logit_R = [math.log(R_of(q, k) / (1 - R_of(q, k)))]
    by_hand = []
    for _ in range(200):  # climb along the gradient in small steps
        by_q, by_k = slopes(q, k)
        q, k = q + 0.05 * by_q, k + 0.05 * by_k
        R = R_of(q, k)
        logit_R.append(math.log(R / (1 - R)))
        by_hand.append(sum(np.sum(each**2) for each in slopes(q, k)))
    found = attention.gradients(rope, heads, np.array([logit_R[1:]]))[0]
    assert logit_R[-1] > logit_R[0] + 0.3
    assert found == pytest.approx(np.array(by_hand), rel=2e-3)  # of the first order in the steps


def test_a_mean_start_has_no_products_and_a_share_of_the_mean_size():
    p = Parameters(N=4, T=4, d_head=6, qk_variance=0.25)
    heads = attention.mean_heads(p, np.array([1, 0.5]))
    assert heads.p.tolist() == np.zeros((2, 6)).tolist()
    assert heads.imbalance == pytest.approx(np.array([[1.0] * 3, [0.5] * 3]))
    one = attention.mean_heads(p, 0.7)
    assert (one.p.shape, one.imbalance.tolist()) == ((6,), pytest.approx([0.7] * 3))


def test_what_cannot_be_followed_is_refused():
    with pytest.raises(FlowError, match="T = 1000000 actions, 32 RoPE planes: too many to follow"):
        attention.planes(Parameters(N=20, T=10**6))
    with pytest.raises(ParameterError, match=r"query and key are too large.* may reach 8e"):
        attention.heads(np.full(64, 1e3), np.full(64, 1e5))
    attention.heads(np.full(64, 5.0), np.full(64, 7.0))
