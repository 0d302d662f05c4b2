"""What symbols are called in code, where that is not their letter."""

from __future__ import annotations

import sympy as sp

from derivations.beyond import variances
from derivations.beyond.solution import U_0, V_0
from derivations.paper import attention, definitions, logic, rollout
from derivations.paper.dynamics import rho
from derivations.paper.regimes import Q_0, S_0
from derivations.symbols import sigma2

NAMES: dict[sp.Symbol, str] = {
    rho: "logit_R",
    U_0: "U0",
    V_0: "V0",
    Q_0: "Q0",
    S_0: "S0",
    sigma2: "qk_variance",
    variances.sigma_W2: "w_variance",
    definitions.half_width: "width",
    definitions.start_variance: "variance",
    attention.rope_base: "rope_theta",
    rollout.error: "error",
    logic.c_2: "overlap",
}
