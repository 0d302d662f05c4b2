"""One description of a model, checked when made, and the same checks for arrays of them."""

import json
import math

import numpy as np
import pytest

from meanfield import ParameterError, Parameters
from meanfield.parameters import largest_vocabulary, parameter_arrays, rope_frequency


def test_defaults_are_resolved():
    p = Parameters(N=20, T=10)
    assert (p.K, p.d_head, p.rope_theta, p.lr) == (20, 64, 10.0, 2.0)
    assert p.w_init == 1 / math.sqrt(20)
    assert p.w_variance == pytest.approx(1 / 60)
    assert p == Parameters(N=20, T=10, K=20, rope_theta=10)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"N": 1}, "N must be between 2 and 1000000000, not 1"),
        ({"N": True}, "N must be an integer, not True"),
        ({"N": 3.0}, "N must be an integer, not 3.0"),
        ({"N": math.nan}, "N must be an integer, not nan"),
        ({"N": "20"}, "N must be an integer, not '20'"),
        ({"T": 1}, "T must be between 2 and 1000000000, not 1"),
        ({"K": 1}, "K must be between 2 and 1000000000, not 1"),
        ({"N": 3, "K": 7}, "K must be at most N! = 6, the number of permutations of N = 3 states"),
        ({"d_head": 63}, "d_head must be even, as RoPE turns pairs of components, not 63"),
        ({"d_head": 0}, "d_head must be between 2 and 1000000, not 0"),
        ({"rope_theta": 0}, "rope_theta must be greater than 0, not 0"),
        ({"rope_theta": -10.0}, "rope_theta must be greater than 0, not -10.0"),
        ({"rope_theta": math.inf}, "rope_theta must be a finite number, not inf"),
        ({"lr": math.nan}, "lr must be a finite number, not nan"),
        ({"lr": False}, "lr must be a finite number, not False"),
        ({"lr": 0.0}, "lr must be greater than 0, not 0.0"),
        ({"qk_variance": -1}, "qk_variance must be greater than 0, not -1"),
        ({"w_init": -0.1}, "w_init must be at least 0, not -0.1"),
        ({"rope_spacing": "log"}, 'rope_spacing must be "power" or "linear", not \'log\''),
        ({"N": None}, "N must be given"),
        ({"T": None}, "T must be given"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(change, words):
    with pytest.raises(ParameterError) as caught:
        Parameters(**{"N": 20, "T": 10, **change})
    assert str(caught.value).startswith(words)
    assert "\n" not in str(caught.value)


def test_as_many_permutations_as_there_are():
    assert Parameters(N=3, T=2, K=6).K == 6
    assert Parameters(N=10**9, T=2, K=10**9).K == 10**9  # no factorial of N is formed
    assert Parameters(N=13, T=2, K=10**9).K == 10**9
    with pytest.raises(ParameterError, match="N! = 479001600,"):
        Parameters(N=12, T=2, K=479001601)


def test_numpy_numbers_become_plain_ones():
    p = Parameters(N=np.int64(20), T=np.int32(10), lr=np.float32(0.5))
    assert type(p.N) is int
    assert type(p.T) is int
    assert type(p.lr) is float
    json.loads(p.to_json())


def test_power_and_linear_frequencies_share_their_ends():
    power = Parameters(N=4, T=3, d_head=8, rope_theta=16.0).frequencies
    linear = Parameters(N=4, T=3, d_head=8, rope_theta=16.0, rope_spacing="linear").frequencies
    assert power == pytest.approx((1, 0.5, 0.25, 0.125))  # 16^(-1) would be next
    assert linear == pytest.approx((1, 1 - 15 / 64, 1 - 30 / 64, 1 - 45 / 64))


def test_json_goes_there_and_back_and_names_the_parameters():
    p = Parameters(N=20, T=10, rope_theta=10, lr=1 / 3)
    assert Parameters.from_json(p.to_json()) == p
    assert p.hash == Parameters(N=20, T=10, lr=1 / 3).hash
    assert p.hash != Parameters(N=20, T=10, lr=0.3).hash
    assert len(p.hash) == 12
    assert int(p.hash, 16) >= 0


def test_json_is_canonical():
    assert Parameters(N=4, T=3, K=5, w_init=0.5, qk_variance=0.25).to_json() == (
        '{"K":5,"N":4,"T":3,"d_head":64,"lr":2.0,"qk_variance":0.25,"rope_spacing":"power",'
        '"rope_theta":10.0,"w_init":0.5}'
    )


def test_json_with_other_keys_is_refused():
    values = json.loads(Parameters(N=20, T=10).to_json())
    for broken in ({**values, "batch": 3}, {k: v for k, v in values.items() if k != "K"}, [], {}):
        with pytest.raises(ParameterError, match="must have exactly the keys"):
            Parameters.from_json(json.dumps(broken))
    with pytest.raises(ParameterError, match="not JSON"):
        Parameters.from_json("{")
    with pytest.raises(ParameterError, match="lr must be a finite number"):
        Parameters.from_json(json.dumps({**values, "lr": math.nan}))


# One value each that Parameters refuses, and its neighbour on the other side of the limit.
LIMITS = {
    "N": [(1, 2), (10**9 + 1, 10**9), (2.5, 3)],
    "T": [(1, 2), (10**9 + 1, 10**9), (7.5, 7)],
    "K": [(1, 2), (10**9 + 1, 10**9), (2.5, 2)],
    "d_head": [(0, 2), (1, 2), (63, 62), (10**6 + 2, 10**6)],
    "rope_theta": [(0.0, 1e-300), (-1.0, 1.0), (math.nan, 2.0), (math.inf, 1e300)],
    "lr": [(0.0, 1e-300), (-2.0, 2.0), (math.nan, 2.0), (math.inf, 1e300)],
    "qk_variance": [(0.0, 1e-300), (-1.0, 1.0), (math.inf, 1e300)],
    "w_init": [(-1e-9, 0.0), (math.nan, 1.0), (math.inf, 1e300)],
}


@pytest.mark.parametrize("name", LIMITS)
def test_arrays_have_the_limits_of_single_models(name):
    for bad, good in LIMITS[name]:
        model = {"N": 13, "T": 10, "K": 2}
        assert getattr(Parameters(**{**model, name: good}), name) == good
        assert np.all(parameter_arrays(**{**model, name: [good, good]})[name] == good)
        with pytest.raises(ParameterError, match=f"^{name} must be "):
            Parameters(**{**model, name: bad})
        with pytest.raises(ParameterError, match=f"^{name} must be .*not {bad:.12g}$"):
            parameter_arrays(**{**model, name: [good, bad]})


def test_arrays_of_what_is_not_given_are_the_defaults_of_each_model():
    found = parameter_arrays(N=[[5], [80]], T=[4, 30, 7], lr=[1.0, 2.0, 3.0], Q=0.5)
    for name, values in found.items():
        assert values.shape == (2, 3), name
    for i, N in enumerate((5, 80)):
        for j, T in enumerate((4, 30, 7)):
            p = Parameters(N=N, T=T, lr=j + 1.0)
            for name, value in p.items():
                if name != "rope_spacing":
                    assert found[name][i, j] == value, name
    assert np.all(found["Q"] == 0.5)
    for values, default in ((found["K"], [5, 80]), (found["w_init"], 1 / np.sqrt([5, 80]))):
        assert values[:, 0] == pytest.approx(default, rel=1e-15)
    with pytest.raises(ParameterError, match="T must be given"):
        parameter_arrays(N=5)
    with pytest.raises(ParameterError, match=r"these shapes do not broadcast: N \(2,\), T \(3,\)"):
        parameter_arrays(N=[5, 6], T=[3, 4, 5])


def test_arrays_know_how_many_permutations_there_are():
    assert parameter_arrays(N=[3, 4], T=2, K=[6, 24])["K"].tolist() == [6, 24]
    with pytest.raises(ParameterError, match="K must be at most N!, not 7"):
        parameter_arrays(N=[3, 4], T=2, K=[7, 7])
    assert [largest_vocabulary(N) for N in (2, 5.0)] == [2, 120]
    assert largest_vocabulary(10**9) > 10**9


@pytest.mark.parametrize("value", ["20", True, [True], ["20"], 1j, object()])
def test_arrays_of_no_numbers_are_refused(value):
    for name in ("N", "lr"):
        with pytest.raises(ParameterError, match=f"^{name} must be a number or numbers, not "):
            parameter_arrays(**{"N": 20, "T": 10, name: value})


def test_frequencies_of_many_models_at_once():
    planes, d_head = np.arange(3), np.array([[6], [8]])
    for spacing in ("power", "linear"):
        together = rope_frequency(planes, d_head=d_head, rope_theta=50.0, rope_spacing=spacing)
        for row, d in enumerate((6, 8)):
            p = Parameters(N=4, T=3, d_head=d, rope_theta=50.0, rope_spacing=spacing)
            assert together[row] == pytest.approx(p.frequencies[:3], rel=1e-15)
        assert rope_frequency(3, d_head=6, rope_theta=50.0, rope_spacing=spacing) == pytest.approx(
            1 / 50
        )  # the plane after the last


@pytest.mark.parametrize("sizes", [{"N": 0, "T": 10}, {"N": -1, "T": 10}, {"N": 20, "T": 0}])
def test_sizes_that_divide_by_nothing_are_refused_without_a_warning(sizes):
    for check in (Parameters, parameter_arrays):
        with pytest.raises(ParameterError, match="must be"):
            check(**sizes)
