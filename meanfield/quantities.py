"""Every quantity that is predicted or measured, once: letter, sentence, unit, equations, colour.

Tables, plots, files and datasets name quantities by the attribute of a Trajectory or a Run.
"""

from __future__ import annotations

from dataclasses import dataclass

# Okabe and Ito's colours, which colour-blind readers tell apart
BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, BLACK, GREY = "#E69F00", "#000000", "#666666"


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One quantity.

    says: what it is, in a few words. unit: "1" for a plain number. equations: where it is defined
    and how it moves. head: of a column in a table. symbol: in a plot, mathematics in dollars.
    color: in every plot.
    """

    says: str
    unit: str = "1"
    equations: str = ""
    head: str = ""
    symbol: str = ""
    color: str = BLACK

    @property
    def attributes(self) -> dict[str, str]:
        """What a labelled array says of itself."""
        return {"long_name": self.says, "units": self.unit, "equations": self.equations}


QUANTITIES: dict[str, Quantity] = {
    "epoch": Quantity(
        says="gradient steps; training time is lr * epoch", unit="epoch", head="epoch"
    ),
    "R": Quantity(
        says="attention on the right action",
        equations="(8), (15a)",
        head="R",
        symbol="$R$",
        color=BLUE,
    ),
    "retrieval_error": Quantity(says="1 - R, accurate where R is almost 1", equations="(8)"),
    "Q": Quantity(
        says="overlap with the right permutations",
        equations="(9), (15b)",
        head="Q",
        symbol="$Q$",
        color=VERMILION,
    ),
    "S": Quantity(
        says="overlap with the other permutations",
        equations="(9), (15c)",
        head="S",
        symbol="$S$",
        color=GREEN,
    ),
    "C": Quantity(says="sum of the mean logits, conserved", equations="(40)"),
    "margin": Quantity(says="lead of the right state's mean logit", equations="(12b)"),
    "loss": Quantity(
        says="cross-entropy of the next state", unit="nats", equations="(7), (10)", head="loss"
    ),
    "sigma_c": Quantity(says="deviation of the right logit", equations="(X6a)"),
    "sigma_o": Quantity(says="deviation of any other logit", equations="(X6b)"),
    "next_token_error": Quantity(says="1 - the next-token accuracy", equations="(17b)"),
    "rollout_error": Quantity(says="1 - the rollout accuracy", equations="(18b)"),
    "next_token_accuracy": Quantity(
        says="chance that the next state is right, the current one given",
        equations="(17)",
        head="next token",
        symbol="next token",
        color=VERMILION,
    ),
    "rollout_accuracy": Quantity(
        says="chance that the state after T steps is right",
        equations="(18)",
        head="rollout",
        symbol="rollout",
        color=BLUE,
    ),
    "heuristic_end_epoch": Quantity(
        says="epoch at which R has come a tenth of its way to 1", unit="epoch"
    ),
    "onset_epoch": Quantity(
        says="epoch at which R = 1/2 (never: inf)", unit="epoch", equations="(15)", head="onset"
    ),
    "relative_delay": Quantity(
        says="how much later the onset is than that of the softmax attention (0.1: 10 %)",
        equations="(15), (X5)",
    ),
    "relative_lag": Quantity(
        says="how much later gradient steps come to the onset than gradient flow (0.1: 10 %)",
        equations="(X7i)",
    ),
    "trusted": Quantity(says="whether to trust the onset epoch: 1, or 0 if any of these is so"),
    "rollout_half_epoch": Quantity(
        says="epoch at which the rollout accuracy is 1/2", unit="epoch", head="rollout 1/2"
    ),
    "saturation_epoch": Quantity(says="epoch at which the rollout accuracy is 0.99", unit="epoch"),
    "mean_field_loss": Quantity(
        says="loss of the mean logits, from R, Q, S and C", unit="nats", equations="(10)"
    ),
    "train_accuracy": Quantity(
        says="share of right next tokens, the current state given, on the training data"
    ),
    "test_accuracy": Quantity(
        says="share of right next tokens, the current state given, on the test data"
    ),
    "correct_logit": Quantity(says="mean logit of the right state, on the training data"),
    "correct_logit_std": Quantity(says="its standard deviation"),
    "other_logit": Quantity(says="mean logit of the other states, on the training data"),
    "other_logit_std": Quantity(says="its standard deviation"),
    "grad_R_squared": Quantity(
        says="|grad_q R|^2 + |grad_k R|^2",
        unit="per unit of query and key squared",
        equations="(63)",
    ),
}
