"""The set-up: tokens, attention at a fixed lag, the logic module, the teacher (Figure 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from numpy.typing import NDArray

from figures.drawing import Drawn, Figure
from meanfield import style
from meanfield.runs.run import Run

Array = NDArray[np.float64]

# The example: N = 4 states, K = 3 permutations, T = 4 actions, counted from 1 in the figure.
PERMUTATIONS = np.array([[1, 2, 3, 0], [0, 3, 1, 2], [3, 2, 0, 1]])
ACTIONS = np.array([0, 2, 1, 2])
FIRST_STATE = 0
STEP = 2  # the one whose prediction is shown: s_2 from s_1

WIDTH, HEIGHT = 7.0, 3.95
BOX, PITCH, LEFT, TOKENS_Y = 0.46, 0.63, 0.95, 2.9  # of the token row, in inches
CELL = 0.14
ACTION, STATE, LOGIC = style.BLUE, style.GREEN, style.VERMILION


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model's prediction of one step: A (T,), z (K,), W (K, N, N), M (N, N), x, y (N,)."""

    A: Array
    z: Array
    W: Array
    M: Array
    x: Array
    y: Array


def predicts(A: Array, W: Array, actions: NDArray[np.int64], state: int) -> Model:
    """Apply (4) and (6): read the actions with the weights A (T,), map the state with W."""
    K, N, _ = W.shape
    z = np.eye(K)[actions].T @ A
    M = np.einsum("k,kmn->mn", z, W)
    x = np.eye(N)[state]
    return Model(A=A, z=z, W=W, M=M, x=x, y=M @ x)


def states(permutations: NDArray[np.int64], actions: Sequence[int], first: int) -> list[int]:
    """Return s_0..s_T (1)."""
    result = [first]
    for action in actions:
        result.append(int(permutations[action, result[-1]]))
    return result


def teacher() -> Model:
    """Return the exact solution: all attention on the right action, permutation matrices."""
    T, N = len(ACTIONS), PERMUTATIONS.shape[1]
    P = np.eye(N)[PERMUTATIONS].transpose(0, 2, 1)  # (P_k)_{nx} = 1 if n = sigma_k(x)
    return predicts(np.eye(T)[STEP - 1], P, ACTIONS, chain()[STEP - 1])


def student() -> Model:
    """Return a half-trained student, made up for the picture."""
    W = 0.55 * teacher().W + np.random.default_rng(3).uniform(0.0, 0.3, teacher().W.shape)
    return predicts(np.array([0.14, 0.56, 0.2, 0.1]), W, ACTIONS, chain()[STEP - 1])


def chain() -> list[int]:
    """Return the states of the example."""
    return states(PERMUTATIONS, ACTIONS.tolist(), FIRST_STATE)


def draw(_runs: Mapping[str, Run]) -> Drawn:
    """Draw the token row with its attention above, one prediction of both models below."""
    T = len(ACTIONS)
    with style.drawing(WIDTH, HEIGHT) as canvas:
        axes = canvas.subplots()
        axes.set(xlim=(0, WIDTH), ylim=(0, HEIGHT), aspect="equal")
        axes.set_axis_off()
        _tokens(axes)
        _arrows(axes)
        _pipeline(axes, student(), y=1.18, name="student", star="", headed=True)
        _pipeline(axes, teacher(), y=0.34, name="teacher", star="^*", headed=False)
    caption = (
        f"The set-up, for $T={T}$ actions, $K={len(PERMUTATIONS)}$ permutations and "
        f"$N={PERMUTATIONS.shape[1]}$ states. The prompt holds the actions $a_1,…,a_T$ and the "
        "first state. The states $s_t$ follow: the action $a_t$ permutes $s_{t-1}$ into $s_t$. To "
        f"predict $s_{STEP}$, at position $i=T+{STEP}$, attention must retrieve the action a fixed "
        "lag $T$ back (4); it sees positions only. The logic module applies the mixture "
        r"$M_i=\sum_k z_{ik}W_k$ of its matrices to the current state $x_i$ (6). The largest logit "
        "is the next token. Attention and $W_k$ are learned. The teacher has all attention on the "
        "right action, and the permutation matrices. The student shown is half trained, with "
        f"attention {student().A[STEP - 1]:g} on the right action. Cells: 0 is white."
    )
    return Drawn(canvas=canvas, caption=caption)


def _tokens(axes: Axes) -> None:
    """Draw the sequence (2), with position and index below each token."""
    T, at = len(ACTIONS), TOKENS_Y
    names = [f"$a_{t}$" for t in range(1, T + 1)] + [f"$s_{t}$" for t in range(T + 1)]
    indices = [*(ACTIONS + 1), *(np.array(chain()) + 1)]
    middle = [_middle(place) for place in range(2 * T + 1)]
    current = T + STEP - 1
    for place, (name, x) in enumerate(zip(names, middle, strict=True)):
        color = ACTION if place < T else STATE
        generated = place > T
        axes.add_patch(
            FancyBboxPatch(
                (x - BOX / 2, at),
                BOX,
                0.36,
                boxstyle="round,pad=0,rounding_size=0.06",
                facecolor=to_rgba(color, 0.3 if place == current else 0.12),
                edgecolor=color,
                lw=1.6 if place == current else 0.8,
                ls=style.DASHED if generated else "-",
            )
        )
        axes.text(x, at + 0.17, name, ha="center", va="center", size=10)
        axes.text(x, at - 0.11, f"{place + 1}", ha="center", va="center", size=8, color=style.GREY)
        axes.text(x, at - 0.27, f"{indices[place]}", ha="center", va="center", size=8)
    axes.text(LEFT - 0.12, at + 0.17, "tokens", ha="right", va="center")
    axes.text(
        LEFT - 0.12, at - 0.11, "position $i$", ha="right", va="center", size=8, color=style.GREY
    )
    axes.text(LEFT - 0.12, at - 0.27, "index", ha="right", va="center", size=8)
    for first, last, label in ((0, T, "prompt"), (T + 1, 2 * T, "generated, a state at a time")):
        ends = middle[first] - BOX / 2, middle[last] + BOX / 2
        _span(axes, *ends, at - 0.42, label, color=style.GREY, above=False)


def _arrows(axes: Axes) -> None:
    """Draw what attention reads from the token in hand, and the state that is predicted from it."""
    at, current = TOKENS_Y, len(ACTIONS) + STEP - 1
    middle = [_middle(place) for place in range(current + 2)]
    for place, weight in enumerate(student().A):
        axes.add_patch(
            FancyArrowPatch(
                (middle[current], at + 0.38),
                (middle[place], at + 0.38),
                connectionstyle=f"arc3,rad={0.62 / (current - place) + 0.12:.3f}",
                arrowstyle="-|>",
                mutation_scale=5 + 5 * weight,
                color=ACTION,
                lw=0.5 + 3 * weight,
                alpha=0.35 + weight if place != STEP - 1 else 1,
                shrinkA=0,
                shrinkB=0,
            )
        )
    axes.add_patch(
        FancyArrowPatch(
            (middle[current], at + 0.38),
            (middle[current + 1], at + 0.38),
            connectionstyle="arc3,rad=-0.6",
            arrowstyle="-|>",
            mutation_scale=8,
            color=STATE,
            lw=1.2,
            shrinkA=0,
            shrinkB=0,
        )
    )
    axes.text(
        LEFT, HEIGHT - 0.08, "attention retrieves at the fixed lag $T$", color=ACTION, va="center"
    )
    axes.text(
        middle[current + 1] - 0.02, at + 0.68, "the logic module predicts", color=STATE, va="center"
    )


def _middle(place: int) -> float:
    """Return where the token at a place, counted from 0, has its middle."""
    return LEFT + PITCH * place + BOX / 2


def _pipeline(axes: Axes, model: Model, *, y: float, name: str, star: str, headed: bool) -> None:
    """Draw one prediction from left to right, centred at height y; headings above if headed."""
    T, (K, N, _) = len(model.A), model.W.shape

    def head(x: float, label: str, letters: str) -> None:
        if headed:
            axes.text(x, y + 0.57, label, ha="center", va="center", size=8, color=style.GREY)
        axes.text(x, y + 0.39, letters, ha="center", va="center", size=8.5)

    def sign(x: float, what: str) -> None:
        axes.text(x, y, what, ha="center", va="center")

    axes.text(LEFT - 0.12, y, name, ha="right", va="center")
    x = LEFT
    _cells(axes, model.A[None], x, y, color=ACTION)
    head(x + T * CELL / 2, "weights", f"$A{star}_{{ij}}$")
    x += T * CELL + 0.3
    sign(x - 0.15, r"$\rightarrow$")
    _cells(axes, model.z[None], x, y, color=ACTION)
    head(x + K * CELL / 2, "action read", f"$z{star}_i$")
    x += K * CELL
    if headed:
        _span(axes, LEFT, x, y + 0.72, "attention head", color=ACTION, above=True)
    x += 0.3
    left = x
    sign(x - 0.15, r"$\rightarrow$")
    for k, W in enumerate(model.W):
        _cells(axes, W, x, y, color=LOGIC)
        head(x + N * CELL / 2, "matrices" if k == 1 else "", f"$W{star}_{k + 1}$")
        x += N * CELL + 0.12
    x += 0.18
    sign(x - 0.15, r"$\rightarrow$")
    _cells(axes, model.M, x, y, color=LOGIC)
    head(x + N * CELL / 2, "map", f"$M{star}_i$")
    x += N * CELL + 0.16
    sign(x - 0.08, r"$\cdot$")
    _cells(axes, model.x[:, None], x, y, color=STATE)
    head(x + CELL / 2, "state", "$x_i$")
    x += CELL + 0.28
    sign(x - 0.14, "$=$")
    _cells(axes, model.y[:, None], x, y, color=STATE)
    head(x + CELL / 2, "logits", f"$y{star}_i$")
    x += CELL
    if headed:
        _span(axes, left, x, y + 0.72, "logic module", color=LOGIC, above=True)
    x += 0.3
    sign(x - 0.15, r"$\rightarrow$")
    axes.text(x + 0.03, y, f"$s_{STEP}={int(np.argmax(model.y)) + 1}$", va="center")


def _span(
    axes: Axes, left: float, right: float, y: float, label: str, *, color: str, above: bool
) -> None:
    """Draw a line from left to right at height y with a label at its middle, above or below it."""
    axes.plot([left, right], [y, y], color=color, lw=0.9)
    axes.text(
        (left + right) / 2,
        y + (0.03 if above else -0.04),
        label,
        color=color,
        ha="center",
        va="bottom" if above else "top",
    )


def _cells(axes: Axes, values: Array, x: float, y: float, *, color: Any) -> None:
    """Draw a matrix (rows, columns) of values from 0 to 1 as cells, left at x, centred at y."""
    rows, columns = values.shape
    for row in range(rows):
        for column in range(columns):
            axes.add_patch(
                Rectangle(
                    (x + column * CELL, y + (rows / 2 - row - 1) * CELL),
                    CELL,
                    CELL,
                    facecolor=to_rgba(color, values[row, column]),
                    edgecolor=style.GREY,
                    lw=0.4,
                )
            )


FIGURE = Figure(
    name="setup_schematic",
    title="the task, the model, and one of its predictions",
    source="Figure 1",
    batches=lambda *, quick: {},
    draw=draw,
)
