"""The accuracy integral (17) against 30-digit arithmetic, its variances (X6) against sampling."""

import math

import mpmath
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import log_ndtr, ndtr

from meanfield import Parameters, generated
from meanfield.logic.family import Family
from meanfield.logits.gaussian import Constant, Gaussian, next_token_error
from meanfield.numerics import normal


def by_mpmath(margin, sigma_c, sigma_o, N):
    """Return (17) as 1 - a, by a very fine trapezoid rule in 30 digits."""
    with mpmath.workdps(30):
        peak = -margin * sigma_c / (sigma_c**2 + sigma_o**2)
        step = mpmath.mpf(min(1.0, sigma_o / sigma_c)) / 12
        count = int(14 / step)

        def integrand(k):
            z = peak + k * step
            above = mpmath.erfc((margin + sigma_c * z) / (sigma_o * mpmath.sqrt(2))) / 2
            return -mpmath.npdf(z) * mpmath.expm1((N - 1) * mpmath.log1p(-above))

        return step * mpmath.fsum(integrand(k) for k in range(-count, count + 1))


def draw():
    rng = np.random.default_rng(17)
    for reach in np.linspace(0, 36.5, 16):
        sigma_o = 10 ** rng.uniform(-1, 0.5)
        sigma_c = sigma_o * 10 ** rng.uniform(-0.9, 0.7)
        margin = reach * math.hypot(sigma_c, sigma_o)
        yield margin, sigma_c, sigma_o, int(10 ** rng.uniform(0.31, 6))


def test_error_is_accurate_down_to_1e_300():
    cases = list(draw())
    exact = np.array([float(by_mpmath(*case)) for case in cases])
    assert exact.min() < 1e-250
    assert exact.max() > 0.1
    found = next_token_error(*np.array(cases).T)
    assert np.max(np.abs(found / exact - 1)[exact > 1e-300]) < 1e-10


def test_accuracy_against_adaptive_quadrature():
    for N in (2, 3, 20, 1000):
        for margin in (-3.0, 0.0, 0.5, 2.0, 6.0):
            for sigma_c, sigma_o in ((0.3, 0.3), (1.0, 0.2), (0.1, 2.0)):

                def integrand(z, m=margin, c=sigma_c, o=sigma_o, n=N):
                    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
                    return density * math.exp((n - 1) * log_ndtr((m + c * z) / o))

                a, _ = quad(
                    integrand,
                    -12,
                    12,
                    epsabs=1e-13,
                    epsrel=0,
                    limit=400,
                    points=[-margin / sigma_c] if margin < 3 else None,
                )
                found = 1 - next_token_error(margin, sigma_c, sigma_o, N)
                assert found == pytest.approx(a, abs=1e-10)


@pytest.mark.parametrize("N", [2, 3, 20, 10**3, 10**6])
def test_no_margin_is_chance(N):
    for sigma in (1e-3, 1.0, 1e3):
        error = next_token_error(0.0, sigma, sigma, N)
        assert error == pytest.approx(1 - 1 / N, rel=1e-10)


def test_without_noise_of_one_kind():
    margins = np.array([-1.0, 0.3, 5.0, 30.0])
    assert next_token_error(margins, 0.7, 0.0, 20) == pytest.approx(
        ndtr(-margins / 0.7), rel=1e-10, abs=0
    )
    alone = -np.expm1(19 * log_ndtr(margins / 0.7))
    assert next_token_error(margins, 0.0, 0.7, 20) == pytest.approx(alone, rel=1e-10, abs=0)
    none = next_token_error([-1.0, 0.0, 1e-9], 0.0, 0.0, 20)
    assert none == pytest.approx([1.0, 0.95, 0.0], abs=0)


def test_two_states_in_closed_form():
    """For N = 2 the difference of the two logits is one Gaussian."""
    rng = np.random.default_rng(3)
    sigma_c, sigma_o = 10 ** rng.uniform(-6, 6, (2, 200))
    spread = np.hypot(sigma_c, sigma_o)
    margin = spread * rng.uniform(-5, 37, 200)
    found = next_token_error(margin, sigma_c, sigma_o, 2)
    assert found == pytest.approx(ndtr(-margin / spread), rel=1e-10, abs=0)


def test_error_falls_with_the_margin_and_never_leaves_its_range():
    margin = np.linspace(-60, 60, 2001)
    for sigma_c, sigma_o in ((0.4, 1.0), (1.0, 0.4), (1e-8, 1.0), (1.0, 1e-8)):
        error = next_token_error(margin, sigma_c, sigma_o, 50)
        assert np.all(np.diff(error) <= 1e-14)
        assert np.all((error >= 0) & (error <= 1 + 1e-14))


def test_more_intervals_change_nothing(monkeypatch):
    rng = np.random.default_rng(2)
    sigma_c, sigma_o = 10 ** rng.uniform(-2, 2, (2, 1500))
    margin = np.hypot(sigma_c, sigma_o) * rng.uniform(-5, 36, 1500)
    N = np.floor(10 ** rng.uniform(0.31, 9, 1500))
    found = next_token_error(margin, sigma_c, sigma_o, N)
    monkeypatch.setattr(normal, "INTERVALS", 1536)
    fine = next_token_error(margin, sigma_c, sigma_o, N)
    assert np.max(np.abs(found - fine)[fine > 1e-300] / fine[fine > 1e-300]) < 1e-11


def sampled_logits(p, R, u, v, samples, rng):
    """Draw (right logit, one other logit) from the mean-field solution of the matrices."""
    rows = np.arange(samples)
    image = rng.integers(p.N, size=(samples, p.K))  # sigma_l(x) for the one state x looked at
    actions = rng.integers(p.K, size=(samples, p.T))
    weights = np.full(p.T, (1 - R) / (p.T - 1))
    weights[0] = R
    right = image[rows, actions[:, 0]]
    other = (right + rng.integers(1, p.N, size=samples)) % p.N
    attention = np.zeros((samples, p.K))
    for j in range(p.T):
        attention[rows, actions[:, j]] += weights[j]
    logits = []
    for n in (right, other):
        hit = image == n[:, None]
        start = rng.uniform(-p.w_init, p.w_init, size=(samples, p.K))
        matrices = start + u * (hit - hit.mean(1, keepdims=True))
        matrices += v * (hit.mean(1, keepdims=True) - 1 / p.N)
        logits.append(np.sum(attention * matrices, axis=1))
    return logits


@pytest.mark.parametrize(
    ("N", "K", "T", "R", "u", "v"),
    [(5, 3, 4, 0.25, 0.0, 0.0), (5, 3, 4, 0.4, 1.0, 2.5), (6, 8, 3, 0.8, 2.0, 3.0)],
)
def test_deviations_against_sampling(N, K, T, R, u, v):
    p = Parameters(N=N, K=K, T=T, w_init=0.8)
    Q_0, S_0, overlap = 0.3, -0.1, 1 / N  # the start itself does not count
    logic = Family(N=N, K=K, Q=Q_0, S=S_0, overlap=overlap)
    logits = Gaussian(logic=logic, C=0.4, T=T, w_variance=p.w_variance)
    U_gained, V_gained = u * (1 - 1 / N), v * (1 - 1 / N)  # (X4c), (X4d) at that overlap
    S_gained = (V_gained - U_gained) / K
    found = logits.deviations(R, Q_0 + U_gained + S_gained, S_0 + S_gained)
    samples = sampled_logits(p, R, u, v, 200_000, np.random.default_rng(8))
    for sigma, drawn in zip(found, samples, strict=True):
        squares = (drawn - drawn.mean()) ** 2
        standard_error = squares.std() / math.sqrt(len(squares))
        assert abs(squares.mean() - sigma**2) < 4 * standard_error
        assert standard_error < 0.01 * sigma**2


def gaussian(**changed):
    logic = Family(N=7, K=5, Q=0.3, S=-0.1, overlap=0.2)
    return Gaussian(**{"logic": logic, "C": 0.9, "T": 4, "w_variance": 0.05, **changed})


def test_margin_and_error_from_order_parameters():
    logits, (R, Q, S) = gaussian(), (np.array([0.3, 0.8]), np.array([1.0, 3.0]), 0.2)
    margin = logits.margin(R, Q, S)
    right = R * Q + (1 - R) * (Q + 4 * S) / 5
    assert margin == pytest.approx((7 * right - 0.9) / 6, rel=1e-14)
    wrong = logits.next_token_error(R, Q, S, None)  # no attention is asked for
    assert wrong == pytest.approx(next_token_error(margin, *logits.deviations(R, Q, S), 7))
    known = (1 - 0.2, 0.2 * 5 - 5 / 7 - 0.2 + 1)  # what U and V gain for one of u and v
    U, V = Q - S - 0.4, Q + 4 * S - (0.3 - 0.4)
    variances = generated.logit_variances(U / known[0], V / known[1], R, 0.05, 7, 5, 4)
    for sigma, variance in zip(logits.deviations(R, Q, S), variances, strict=True):
        assert sigma**2 == pytest.approx(variance, rel=1e-12)


def test_before_training_only_W_is_uncertain():
    """Through attention weights of R on one action and the rest spread evenly, K different."""
    sigma_c, sigma_o = gaussian().deviations(0.25, 0.3, -0.1)
    assert sigma_c == sigma_o
    assert sigma_c**2 == pytest.approx(0.05 * (1 / 4 + 3 / 4 / 5), rel=1e-13)


def test_constant_deviations_are_the_same_all_along():
    logits = Constant(**vars(gaussian()), sigma_c=0.3, sigma_o=0.2)
    R, Q, S = np.array([0.3, 0.8]), np.array([1.0, 3.0]), 0.2
    assert [each.tolist() for each in logits.deviations(R, Q, S)] == [[0.3] * 2, [0.2] * 2]
    expected = next_token_error(gaussian().margin(R, Q, S), 0.3, 0.2, 7)
    assert logits.next_token_error(R, Q, S, None) == pytest.approx(expected, rel=1e-14)


def test_many_models_side_by_side():
    N, K, T = (np.array(each, float)[:, None] for each in ([7, 9], [5, 4], [4, 6]))
    C, w_variance = np.array([[0.9], [0.2]]), np.array([[0.05], [0.02]])
    logic = Family(N=N, K=K, Q=np.array([[0.3], [0.0]]), S=-0.1, overlap=np.array([[0.2], [0.1]]))
    many = Gaussian(logic=logic, C=C, T=T, w_variance=w_variance)
    R, Q, S = np.array([[0.3, 0.8], [0.2, 0.9]]), np.full((2, 2), 2.0), np.full((2, 2), 0.2)
    one = gaussian().next_token_error(R[0], Q[0], S[0], None)
    assert many.next_token_error(R, Q, S, None)[0] == pytest.approx(one, rel=1e-13)
    other = gaussian(
        logic=Family(N=9, K=4, Q=0.0, S=-0.1, overlap=0.1), C=0.2, T=6, w_variance=0.02
    ).next_token_error(R[1], Q[1], S[1], None)
    assert many.next_token_error(R, Q, S, None)[1] == pytest.approx(other, rel=1e-13)


@pytest.mark.parametrize(("sigma_c", "sigma_o"), [(1e-9, 1e-9), (1e-9, 3e-9), (3e-9, 1e-9)])
def test_hardly_any_noise_is_like_none(sigma_c: float, sigma_o: float) -> None:
    errors = next_token_error(np.array([1.0, -1.0, 1e300]), sigma_c, sigma_o, 7)
    assert errors.tolist() == [0.0, 1.0, 0.0]
