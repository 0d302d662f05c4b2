"""The letters that chapters share: each with its assumptions and its meaning, once.

A letter that one chapter introduces stands at the top of that chapter, and those that build on it
take it from there. Units: ``t`` is training time, eta times the epoch, everywhere in this project.
"""

import sympy as sp


class Phi(sp.Function):
    """Distribution function of a standard normal variable, see (90b)."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """Return the density, its derivative."""
        return sp.exp(-(self.args[0] ** 2) / 2) / sp.sqrt(2 * sp.pi)


# --- sizes ---------------------------------------------------------------------------------------
N = sp.Symbol("N", integer=True, positive=True)  # number of states
K = sp.Symbol("K", integer=True, positive=True)  # number of permutations: the action vocabulary
T = sp.Symbol("T", integer=True, positive=True)  # actions per sequence
d = sp.Symbol("d", integer=True, positive=True)  # head dimension d_head, even: d/2 RoPE planes

# --- indices -------------------------------------------------------------------------------------
i, j = sp.symbols("i j", integer=True, positive=True)  # token positions; i predicts, j is attended
k, l = sp.symbols("k l", integer=True, positive=True)  # actions, 1..K
m, n = sp.symbols("m n", integer=True, positive=True)  # states, 1..N
r = sp.Symbol("r", integer=True, nonnegative=True)  # RoPE planes, 0..d/2-1
p = sp.Symbol("p", integer=True, positive=True)  # any token position, 1..2T+1
step = sp.Symbol("t", integer=True, positive=True)  # step of the chain, 1..T (no training time)

# --- microscopic quantities ----------------------------------------------------------------------
W = sp.IndexedBase("W", real=True)  # W[k, n, m] = (W_k)_{nm}: learnable logic matrices, K of N x N
P = sp.IndexedBase("P", real=True)  # P[k, n, m] = (P_k)_{nm} = 1 if n = sigma_k(m): the teacher's
A = sp.IndexedBase("A", positive=True)  # A[i, j]: attention of predictor i to position j
v = sp.IndexedBase("v", real=True)  # v[j, k]: value vector of position j, one-hot of its action
z = sp.IndexedBase("z", real=True)  # z[i, k]: head output at i
x = sp.IndexedBase("x", real=True)  # x[i, m]: current state at i, one-hot
y = sp.IndexedBase("y", real=True)  # y[i, n]: logits at i
u = sp.IndexedBase("u", real=True)  # u[i, j]: attention logit
y_teacher = sp.IndexedBase(r"y^{\star}", real=True)  # teacher's logits, one-hot at the right state
a = sp.IndexedBase("a", integer=True, positive=True)  # a[j]: action at position j

# --- order parameters and mean-field quantities --------------------------------------------------
R = sp.Symbol("R", positive=True)  # attention retrieval (8), between 0 and 1
Q = sp.Symbol("Q", real=True)  # teacher alignment (9a)
S = sp.Symbol("S", real=True)  # off-target overlap (9b)
C = sp.Symbol("C", real=True)  # sum of the N mean logits (40), conserved
y_c = sp.Symbol("y_c", real=True)  # mean logit of the right state (11)
y_o = sp.Symbol("y_o", real=True)  # mean logit of any other state (12)
Delta = sp.Symbol("Delta", real=True)  # margin y_c - y_o
alpha = sp.Symbol("alpha", positive=True)  # weight of Q in y_c (46)
beta = sp.Symbol("beta", nonnegative=True)  # weight of each off-target overlap in y_c (46)
g = sp.Symbol("g", positive=True)  # error signal 1 - p_correct (43)
L = sp.Symbol("L", positive=True)  # mean-field loss (10)
G = sp.Symbol("G", positive=True)  # attention gradient |grad_q R|^2 + |grad_k R|^2 (63)
F = sp.Symbol("F", real=True)  # drive on attention, -dL/dR

# --- training ------------------------------------------------------------------------------------
eta = sp.Symbol("eta", positive=True)  # learning rate
t = sp.Symbol("t", nonnegative=True)  # training time eta * epoch
sigma2 = sp.Symbol(r"\sigma^2", positive=True)  # variance of the key/query initialisation
omega = sp.IndexedBase("omega", real=True)  # omega[r]: RoPE frequency of plane r
gamma = sp.Symbol("gamma", positive=True)  # rate of the linear closure (14)
g0 = sp.Symbol("g_0", positive=True)  # rate of the quadratic closure (70)
