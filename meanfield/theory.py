"""What a theory is: a choice for attention, loss and logits. The only file that knows their names.

A new attention, loss or way to read the logits is a module of its own and one row here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

from scipy.special import expit

from meanfield import generated, notebook
from meanfield.attention import closures
from meanfield.attention.closures import ClosedAttention, Closure
from meanfield.attention.softmax import SoftmaxAttention
from meanfield.checks import boolean, nonnegative, one_of, option, shortened
from meanfield.dynamics import Attention, Descent, Loss, Model
from meanfield.errors import ParameterError
from meanfield.logic.family import Family
from meanfield.logits.gaussian import Constant, Gaussian
from meanfield.logits.sampled import Sampled
from meanfield.loss.mean_field import MeanField
from meanfield.loss.second_order import SecondOrder
from meanfield.parameters import Parameters
from meanfield.start import Start
from meanfield.training import Training

LOGIC = ("Q", "S", "C")  # what every theory reads of a start


@dataclass(frozen=True)
class AttentionPart:
    """One way to have attention.

    build(parameters, start): the attention. reads: of a start, of which ``needs`` must be given.
    equations: that it follows. closure: the closure G(R), if it is one.
    """

    build: Callable[[Parameters, Start], Attention]
    reads: tuple[str, ...]
    equations: str
    needs: tuple[str, ...] = ()
    closure: Closure | None = None


@dataclass(frozen=True)
class LossPart:
    """One loss.

    in_steps: whether a closure can be followed in gradient steps with it. best_logits: how the
    logits are best read along it.
    """

    build: Callable[[Parameters, Start], Loss]
    reads: tuple[str, ...]
    in_steps: bool
    best_logits: str
    equations: str = ""


@dataclass(frozen=True)
class LogitsPart:
    """One way to read accuracies from the logits.

    early: why they are not to be trusted before the attention onset, or "".
    """

    build: Callable[[Parameters, Start, Family, Theory], Gaussian]
    reads: tuple[str, ...]
    early: str


def _closed(closure: Closure, equations: str) -> AttentionPart:
    def build(parameters: Parameters, start: Start) -> Attention:
        return ClosedAttention.of(closure, parameters, start.R)

    return AttentionPart(build, ("R",), equations, closure=closure)


def _constant(p: Parameters, start: Start, logic: Family, theory: Theory) -> Gaussian:
    moving = Gaussian.of(p, start, logic)
    return Constant.at(moving, start, theory.sigma_c, theory.sigma_o)


ATTENTIONS = {
    "linear": _closed(closures.LINEAR, "(15), (71a), (X2b), (X3)"),
    "quadratic": _closed(closures.QUADRATIC, "(15), (71b), (X2c), (X3)"),
    "spectral": AttentionPart(
        lambda parameters, _: SoftmaxAttention.of_typical_seed(parameters),
        (),
        "(15), (X5)",
    ),
    "per-seed": AttentionPart(
        lambda parameters, start: SoftmaxAttention.of_seeds(parameters, start.q, start.k),
        ("q", "k"),
        "(15), (X5)",
        needs=("q", "k"),
    ),
}
LOSSES = {
    "mean-field": LossPart(MeanField.of, (), in_steps=True, best_logits="gaussian"),
    "fluctuations": LossPart(
        SecondOrder.of,
        ("overlap", "permutations"),
        in_steps=False,
        best_logits="sampled",
        equations=", (X8)",
    ),
}
LOGITS = {
    "gaussian": LogitsPart(
        lambda p, start, logic, _: Gaussian.of(p, start, logic),
        (),
        early="few actions: the wrong logits are not independent Gaussians",
    ),
    "constant": LogitsPart(
        _constant,
        (),
        early="constant variances leave out the spread that training adds",
    ),
    "sampled": LogitsPart(
        lambda p, start, logic, _: Sampled.of(p, start, logic), ("overlap", "permutations"), ""
    ),
}
PLAIN = "mean-field"  # the loss that a name need not mention
ALIASES = {"theory": "gaussian"}  # of logits: what the option --variances calls them
PAPER = "linear"  # the paper's closed equations
DEFAULT = "spectral+fluctuations"  # the best that needs no seed
BEST = "per-seed+fluctuations"
LADDER = (PAPER, "quadratic", "spectral", DEFAULT, "per-seed", BEST)  # a step at a time
CLOSURES = {name: part.closure for name, part in ATTENTIONS.items() if part.closure is not None}
# What of a training the theories are about; anything else is refused.
COVERED = {"optimizer": "sgd", "weight_decay": 0.0, "fix_embedding": True, "d_embed": 1}


@dataclass(frozen=True)
class OwnClosure:
    """A closure of the user's own: G(R, ...) as text, and as a SymPy expression unless it is lost.

    A file keeps the text alone.
    """

    text: str
    expression: Any = None

    def build(self, parameters: Parameters, start: Start) -> Attention:
        """Return the attention under it; ParameterError if the expression is lost."""
        if self.expression is None:
            raise ParameterError(
                f"the closure {self.text} is known as text only: give its SymPy expression again"
            )
        closure = closures.from_expression(self.expression, parameters)
        return ClosedAttention.of(closure, parameters, start.R)


@dataclass(frozen=True, kw_only=True)
class Theory:
    """A theory: what stands for attention, which loss is gone down, how the logits are read.

    attention: "linear" or "quadratic", the paper's closures (71), (70); "spectral" or "per-seed",
        the softmax attention itself of a typical seed or of the seed whose q and k a start gives;
        or a SymPy expression G(R, ...) of your own.
    loss: "mean-field" (10), or "fluctuations" (X8).
    logits: how accuracies are read from them: "gaussian", "constant" or "sampled".
    steps: follow gradient steps of size lr, to first order (X7), instead of the gradient flow.
    sigma_c, sigma_o: with constant logits, their deviations, right and other; those of the start
        unless given.
    thermodynamic_limit: drop the factors N/(N-1) and (K-1)/K of (15a), as the paper does; they
        cancel when K = N, the default.

    Raises ParameterError for what there is not, or what cannot be combined.
    """

    attention: Any = "spectral"
    loss: str = PLAIN
    logits: str = option(
        "gaussian",
        "Gaussian logits with variances from theory, or constant; or sampled logits",
        choices=tuple(LOGITS),
        also=("variances",),
    )
    steps: bool = option(
        False, "follow gradient steps of size lr, to first order", also=("lr_correction",)
    )
    sigma_c: float | None = option(
        None, "deviation of the right logit, with constant variances", metavar="SIGMA"
    )
    sigma_o: float | None = option(
        None, "deviation of every other logit, with constant variances", metavar="SIGMA"
    )
    thermodynamic_limit: bool = option(
        False, "drop N/(N-1) and (K-1)/K from the equation of R (no change at K = N: they cancel)"
    )

    def __post_init__(self) -> None:
        """Check every part, and that they go together."""
        if isinstance(self.attention, str):
            one_of("the attention of a theory", self.attention, tuple(ATTENTIONS))
        elif not isinstance(self.attention, OwnClosure):
            if not hasattr(self.attention, "free_symbols"):
                raise ParameterError(
                    "the attention of a theory must be a name or a SymPy expression G(R, ...), not "
                    f"{shortened(self.attention)}"
                )
            own = OwnClosure(str(self.attention), self.attention)
            object.__setattr__(self, "attention", own)
        one_of("the loss of a theory", self.loss, tuple(LOSSES))
        object.__setattr__(self, "logits", ALIASES.get(self.logits, self.logits))
        one_of("the logits of a theory", self.logits, tuple(LOGITS))
        boolean("steps", self.steps)
        boolean("thermodynamic_limit", self.thermodynamic_limit)
        for name in ("sigma_c", "sigma_o"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, nonnegative(name, getattr(self, name)))
        for cannot_be, why in EXCLUSIONS:
            if cannot_be(self):
                raise ParameterError(f"{self}: {why}")

    @classmethod
    def parse(cls, name: str | Theory, **options: Any) -> Theory:
        """Return the theory of a name such as "linear" or "per-seed+fluctuations".

        A Theory is returned as it is. options: the other fields. Raises ParameterError for a name
        that there is not.
        """
        if isinstance(name, Theory):
            return replace(name, **options)
        attention, plus, loss = str(name).partition("+")
        loss = loss if plus else PLAIN
        if attention not in ATTENTIONS or loss not in LOSSES:
            raise ParameterError(
                f"the theory must be {', '.join(ATTENTIONS)}, alone or with "
                f"{' or '.join(f'+{each}' for each in LOSSES if each != PLAIN)}, not "
                f"{shortened(name)}; a closure of your own is Theory(attention=...)"
            )
        return cls(attention=attention, loss=loss, **options)

    def __str__(self) -> str:
        """Return the name: attention, and the loss if it is not the mean-field one."""
        own = self.attention
        name = own.text if isinstance(own, OwnClosure) else str(own)
        return name if self.loss == PLAIN else f"{name}+{self.loss}"

    def _repr_html_(self) -> str:
        """Return a table for a notebook."""
        rows = [("attention", str(replace(self, loss=PLAIN))), *list(vars(self).items())[1:]]
        return notebook.table(f"Theory {self}, equations {self.equations}", rows)

    @property
    def part(self) -> AttentionPart:
        """What its attention is."""
        if isinstance(self.attention, OwnClosure):
            return AttentionPart(self.attention.build, ("R",), "(15)")
        return ATTENTIONS[self.attention]

    @property
    def closed(self) -> bool:
        """Whether a closure G(R) stands for attention."""
        return "R" in self.part.reads

    @property
    def of_one_seed(self) -> bool:
        """Whether it starts from the query and key of one seed, and so has no nominal start."""
        return bool(self.part.needs)

    @property
    def fluctuating(self) -> bool:
        """Whether the loss has the fluctuations of the logits, which the vocabulary decides."""
        return bool(LOSSES[self.loss].reads)

    @property
    def early_accuracies(self) -> str:
        """Why accuracies before the attention onset are not to be trusted, or ""."""
        return LOGITS[self.logits].early

    @property
    def equations(self) -> str:
        """The equations that R, Q and S follow."""
        return self.part.equations + LOSSES[self.loss].equations

    @property
    def reads(self) -> tuple[str, ...]:
        """The fields of a Start that it uses."""
        used = {*self.part.reads, *LOGIC, *LOSSES[self.loss].reads, *LOGITS[self.logits].reads}
        return tuple(each.name for each in fields(Start) if each.name in used)

    def of_each_seed(self) -> Theory:
        """Return the same theory for single seeds, from the query and key of each."""
        return replace(self, attention="per-seed")

    def with_best_logits(self) -> Theory:
        """Return the theory with its logits read in the best way there is, however slow."""
        return replace(self, logits=LOSSES[self.loss].best_logits)

    def pick(self, start: Start) -> Start:
        """Return of a start what it reads."""
        known = start.given
        if "permutations" in known and "overlap" in known:
            del known["overlap"]  # which follows from them
        return Start(**{name: value for name, value in known.items() if name in self.reads})

    def check(self, start: Start, training: Training | None = None) -> None:
        """Raise ParameterError unless it reads all that is given and is given all that it needs."""
        for name in start.given:
            if name not in self.reads:
                others = [each for each in LADDER if name in Theory.parse(each).reads]
                hint = f"{' and '.join(others)} do" if others else "no theory does"
                raise ParameterError(f"{name} may not be given: {self} does not read it, {hint}")
        for name in self.part.needs:
            if getattr(start, name) is None:
                needed = " and ".join(self.part.needs)
                raise ParameterError(f"{self} needs {needed} of a start, but {name} is missing")
        for name, value in COVERED.items() if training is not None else ():
            if getattr(training, name) != value:
                raise ParameterError(
                    f"{name} = {getattr(training, name)!r} is not covered: the theory is about "
                    f"{name} = {value!r}"
                )

    def obstacle(
        self, parameters: Parameters, start: Start, training: Training | None = None
    ) -> str:
        """Return why it cannot be started so, in one sentence, or "" if it can."""
        try:
            self.check(start, training)
            LOSSES[self.loss].build(parameters, start.resolved(parameters))
        except ParameterError as error:
            return str(error)
        return ""

    def model(self, parameters: Parameters, start: Start) -> Model:
        """Return the equations from a resolved start, whose numbers may be arrays over seeds."""
        p = parameters
        logic = Family.of(p, start)
        descent = Descent(LOSSES[self.loss].build(p, start), logic, self.pace(p))
        return Model(p, self.part.build(p, start), descent, self.steps)

    def pace(self, parameters: Parameters) -> float:
        """Return the factor on the drive on attention, 1 but in the thermodynamic limit."""
        if not self.thermodynamic_limit:
            return 1.0
        return float(generated.thermodynamic_pace(parameters.N, parameters.K))

    def prepare(
        self, parameters: Parameters, start: Start | None, training: Training | None
    ) -> Prepared:
        """Return everything ready to be solved; ParameterError for what cannot be."""
        start = Start() if start is None else start
        self.check(start, training)
        start = start.resolved(parameters)
        model = self.model(parameters, start)
        if not self.closed:
            attention = model.attention
            start = replace(start, R=float(expit(attention.logit_R(attention.start))))
        logits = LOGITS[self.logits].build(parameters, start, model.logic, self)
        return Prepared(model, logits, start)


@dataclass(frozen=True)
class Prepared:
    """A theory for one model: its equations, how its logits are read, and where it starts."""

    model: Model
    logits: Gaussian
    start: Start


# What cannot be combined, and why, in one place.
EXCLUSIONS: tuple[tuple[Callable[[Theory], bool], str], ...] = (
    (
        lambda theory: theory.steps and theory.closed and not LOSSES[theory.loss].in_steps,
        "a closure can be followed in gradient steps down the mean-field loss only; leave out the "
        "steps or the fluctuations",
    ),
    (
        lambda theory: (
            theory.logits != "constant"
            and (theory.sigma_c is not None or theory.sigma_o is not None)
        ),
        "sigma_c and sigma_o may only be given with constant logits",
    ),
)
