"""X7: what gradient steps of a finite learning rate follow, to first order: a flow of their own.

Steps x(t + eta) = x(t) + eta f(x(t)) do not stay on the flow x' = f(x), but on one that differs by
a term in eta (backward error analysis). Training steps in the weights, so that is where it is
derived; a change of variables afterwards costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import sympy as sp

from derivations.beyond.attention_flow import (
    H_im,
    H_re,
    after,
    conserved_imbalance,
    imbalance,
    p_im,
    p_im_dot,
    p_re,
    p_re_dot,
    plane_product,
    plane_size,
    products,
    size,
    slope_in_product,
    state_of,
    velocity,
)
from derivations.models.rotary_head import STEP, Head, Real, exact, mp, random_heads
from derivations.models.sums import numbers
from derivations.paper.attention import (
    attention_gradient,
    key,
    plane,
    query,
    weight,
    weight_flow,
)
from derivations.paper.dynamics import R_of, rho_dot, shape
from derivations.statement import Kind, Status, Step, check, equation, require, shown
from derivations.symbols import F, G, R, eta, r, t

BEYOND = Status.BEYOND

x = sp.Symbol("x", real=True)  # the whole state; a product of derivatives is that of matrices
x_dot = sp.Symbol(r"\dot{x}", real=True)
f = sp.Function("f")  # its velocity under gradient flow, per unit of training time
phi = sp.Function("varphi")  # velocity of logit R under gradient flow
F_of = sp.Function("F")
F_back = sp.Symbol("F_b", real=True)  # the drive half a step back
H_back_re = sp.IndexedBase(r"H_b^{\prime}", real=True)  # the gradient there
H_back_im = sp.IndexedBase(r"H_b^{\prime\prime}", real=True)
p_back_re = sp.IndexedBase(r"p_b^{\prime}", real=True)  # the products there
p_back_im = sp.IndexedBase(r"p_b^{\prime\prime}", real=True)
imbalance_dot = sp.IndexedBase(r"\dot{I}", real=True)


@shown("f(x) - eta/2*Derivative(f(x), x)*f(x)")
@equation("X7a", "Gradient steps as a flow", status=BEYOND)
def modified_flow() -> Iterator[Step]:
    correction = sp.Symbol("f_1", real=True)
    f_x = f(x)
    ahead = eta * (f_x + eta * correction) + eta**2 / 2 * sp.diff(f_x, x) * f_x
    yield "A flow f + eta f_1 over the time eta of one step, to second order", sp.expand(ahead)
    gap = sp.expand(ahead - eta * f_x).coeff(eta, 2)
    (found,) = sp.solve(gap, correction)
    yield "A step makes eta f: the rest must vanish", sp.Eq(correction, found)
    yield "So steps follow", sp.Eq(x_dot, f_x + eta * found)


@shown("f(x - eta/2*f(x))")
@equation("X7b", "Gradient steps half a step back", status=BEYOND, follows_from=(modified_flow,))
def delayed_flow(modified_flow: sp.Eq) -> Iterator[Step]:
    back = f(x - eta / 2 * f(x))
    series = sp.series(back, eta, 0, 2).removeO().doit()
    yield "The velocity half a step back", series
    require(sp.simplify(series - modified_flow.rhs) == 0, "it is not that of (X7a)")
    yield "is that of (X7a) to the same order", sp.Eq(x_dot, back)


@shown(
    "varphi(t) - eta/2*(Derivative(varphi(t), t) + (1 - 2*R - R*(1 - R)"
    "*Derivative(G(R), R)/(2*G(R)))*varphi(t)**2)"
)
@equation(
    "X7c",
    "Growth of R in steps, for any closure",
    status=BEYOND,
    follows_from=(modified_flow, weight_flow, attention_gradient),
    note="The weights step along the gradient of R: the distance they go is what (X7a) is about.",
)
def logit_growth_in_steps(
    modified_flow: sp.Eq, weight_flow: sp.Eq, attention_gradient: sp.Eq
) -> Iterator[Step]:
    def over_all_weights(of_one: sp.Expr) -> sp.Expr:
        """Sum of the same expression over every query and key weight, by G, F and time."""
        summand = sum(of_one.subs(weight, vector[r]) for vector in (query, key))
        (squares,) = attention_gradient.rhs.atoms(sp.Sum)
        in_G = sp.factor(summand) / squares.function * squares / attention_gradient.rhs * G
        require(not in_G.has(sp.Derivative), "the weights do not go the way of the gradient")
        return in_G.subs({G: shape(R_of(t)), F: F_of(t)})

    growth = over_all_weights(sp.Derivative(R, weight) * weight_flow.rhs)
    require(growth == F_of(t) * shape(R_of(t)), f"R does not grow at F G, but at {growth}")
    yield "Weights go the way of the gradient of R, which grows at", growth
    speed = F_of(t) * sp.sqrt(over_all_weights(weight_flow.rhs**2) / F_of(t) ** 2)
    yield "and their speed, negative if F is,", speed
    slope = growth / speed
    under_flow = {sp.Derivative(R_of(t), t): growth}
    acceleration = sp.diff(speed, t).subs(under_flow).doit()
    yield "How the flow changes it", acceleration
    share = modified_flow.rhs.coeff(eta) / f(x) / sp.diff(f(x), x)
    stepped = speed + eta * share * acceleration
    width = R_of(t) * (1 - R_of(t))
    yield "By (X7a), and R by the chain rule", sp.Eq(sp.Derivative(R_of(t), t), stepped * slope)
    of_logit = speed * slope / width
    change = sp.diff(of_logit, t).subs(under_flow).doit()
    bend = sp.simplify((acceleration * slope / width - change) / of_logit**2)
    yield "In logit R, beside the change of its own velocity", bend
    named = bend.subs(R_of(t), R).doit()
    yield (
        "So, with varphi = F G/(R (1 - R)) along the flow",
        sp.Eq(rho_dot, phi(t) + eta * share * (sp.Derivative(phi(t), t) + phi(t) ** 2 * named)),
    )


def pair(first: sp.IndexedBase, second: sp.IndexedBase) -> sp.ImmutableMatrix:
    """Real and imaginary part of a complex variable of plane r."""
    return sp.ImmutableMatrix([first[r], second[r]])


def times(a: sp.ImmutableMatrix, b: sp.ImmutableMatrix) -> sp.ImmutableMatrix:
    """Product of two complex numbers given as pairs."""
    return sp.ImmutableMatrix([a[0] * b[0] - a[1] * b[1], a[0] * b[1] + a[1] * b[0]])


def conjugate(a: sp.ImmutableMatrix) -> sp.ImmutableMatrix:
    """The conjugate of a complex number given as a pair."""
    return sp.ImmutableMatrix([a[0], -a[1]])


P, H, H_BACK = pair(p_re, p_im), pair(H_re, H_im), pair(H_back_re, H_back_im)


def half_a_step_back(weight_flow: sp.Eq, plane_product: sp.Eq) -> dict[sp.Expr, sp.Expr]:
    """Query and key of plane r half a step back, by their entries now."""
    return {
        entry: entry - eta / 2 * speed
        for vector in (query, key)
        for entry, speed in zip(
            plane(vector), velocity(weight_flow, plane_product, vector), strict=True
        )
    }


def rate_by_velocity_back(quantity: sp.Expr, weight_flow: sp.Eq, plane_product: sp.Eq) -> sp.Expr:
    """d quantity/dt where query and key move with the velocity of half a step back."""
    there = half_a_step_back(weight_flow, plane_product)
    to_back = {F: F_back, H_re[r]: H_back_re[r], H_im[r]: H_back_im[r]}
    return sp.expand(
        sum(
            sp.diff(quantity, entry) * speed.xreplace(to_back).xreplace(there)
            for vector in (query, key)
            for entry, speed in zip(
                plane(vector), velocity(weight_flow, plane_product, vector), strict=True
            )
        )
    )


def in_planes(expr: sp.Expr, plane_product: sp.Eq, plane_size: sp.Eq) -> sp.Expr:
    """``expr`` in the p_r and n_r as one in the entries of query and key."""
    named = dict(zip(plane_product.lhs, plane_product.rhs, strict=True))
    return sp.expand(expr.xreplace({**named, plane_size.lhs: plane_size.rhs}))


@equation(
    "X7d",
    "Products half a step back",
    status=BEYOND,
    follows_from=(weight_flow, plane_product, plane_size),
)
def products_back(weight_flow: sp.Eq, plane_product: sp.Eq, plane_size: sp.Eq) -> Iterator[Step]:
    there = half_a_step_back(weight_flow, plane_product)
    back = plane_product.rhs.xreplace(there)
    yield "Query and key go back by (61c)", back
    step = eta / 2 * F
    closed = P - step * size[r] * H
    closed += step**2 * times(times(H, H), conjugate(P))
    for one, other in zip(back, closed, strict=True):
        require(
            sp.expand(one) == in_planes(other, plane_product, plane_size), "the p_r do not close"
        )
    yield "In the p_r and n_r again", sp.Eq(pair(p_back_re, p_back_im), closed)


@equation(
    "X7e",
    "Products in steps",
    status=BEYOND,
    follows_from=(delayed_flow, weight_flow, plane_product, plane_size),
    note="F_b and H_b are F and H where p, Q and S were half a step back; eta = 0 is (X5f).",
)
def products_in_steps(
    delayed_flow: sp.Eq, weight_flow: sp.Eq, plane_product: sp.Eq, plane_size: sp.Eq
) -> Iterator[Step]:
    require(delayed_flow.rhs.args[0] == x - eta / 2 * f(x), "not half a step back")
    rates = [rate_by_velocity_back(part, weight_flow, plane_product) for part in plane_product.rhs]
    ahead = sp.ImmutableMatrix([size[r], 0]) - eta * F * times(conjugate(H), P)
    closed = F_back * times(H_BACK, ahead)
    for one, other in zip(rates, closed, strict=True):
        require(one == in_planes(other, plane_product, plane_size), "the p_r do not close")
    yield "Velocity of half a step back, chain rule now", sp.Eq(pair(p_re_dot, p_im_dot), closed)


@shown("-eta*F*F_b*(Hprime[r]*H_bprime[r] + Hprimeprime[r]*H_bprimeprime[r])*I[r]")
@equation(
    "X7f",
    "Imbalance in steps",
    status=BEYOND,
    follows_from=(delayed_flow, weight_flow, plane_product, conserved_imbalance),
    note="Steps conserve the imbalance no more: it shrinks, at first order in the learning rate.",
)
def imbalance_in_steps(
    delayed_flow: sp.Eq, weight_flow: sp.Eq, plane_product: sp.Eq, conserved_imbalance: sp.Eq
) -> Iterator[Step]:
    require(delayed_flow.rhs.args[0] == x - eta / 2 * f(x), "not half a step back")
    rate = rate_by_velocity_back(conserved_imbalance.rhs, weight_flow, plane_product)
    share = sp.factor(sp.cancel(rate / conserved_imbalance.rhs))
    yield "Its relative change", share
    require(not share.has(query, key), "it is not proportional to itself")
    yield "It decays", sp.Eq(imbalance_dot[r], share * imbalance[r])


# --- checks --------------------------------------------------------------------------------------


@check(
    modified_flow,
    delayed_flow,
    kind=Kind.NUMERIC,
    says="300, 600 and 1200 steps of x' = sin x + x^2/5 against the flow solved: the gap falls as "
    "eta^2",
)
def many_steps(modified_flow: sp.Eq, delayed_flow: sp.Eq) -> str:
    def velocity_at(state: sp.Expr) -> sp.Expr:
        return sp.sin(state) + state**2 / 5

    said = []
    for flow in (modified_flow, delayed_flow):
        own = flow.rhs.replace(f, velocity_at).doit()
        rate = sp.lambdify((x, eta), own, "math")
        plain = sp.lambdify(x, velocity_at(x), "math")
        gaps = []
        for steps in (300, 600, 1200):
            width = 3 / steps
            stepped = followed = 0.2
            for _ in range(steps):
                stepped += width * plain(stepped)
                k1 = rate(followed, width)
                k2 = rate(followed + width / 2 * k1, width)
                k3 = rate(followed + width / 2 * k2, width)
                k4 = rate(followed + width * k3, width)
                followed += width / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            gaps.append(abs(stepped - followed))
        require(gaps[-1] < 1e-5 and stepped > 1, f"the steps end {gaps[-1]} off the flow")
        orders = [sp.log(a / b, 2).evalf() for a, b in pairwise(gaps)]
        require(all(abs(order - 2) < 0.05 for order in orders), f"orders {orders}")
        said.append(f"{gaps[-1]:.0e}")
    return f"after 1200 steps {', '.join(said)} off"


@check(
    logit_growth_in_steps,
    kind=Kind.NUMERIC,
    says="one weight with R = w^2, so G = 4R, under a drive that varies: its steps against the "
    "flow solved",
)
def one_weight(logit_growth_in_steps: sp.Eq) -> str:
    drive = 1 + t / 2
    velocity_of_logit = (drive * shape(R) / (R * (1 - R))).subs(shape(R), 4 * R)
    change = sp.diff(velocity_of_logit, t) + sp.diff(velocity_of_logit, R) * drive * 4 * R
    own = logit_growth_in_steps.rhs.subs(sp.Derivative(phi(t), t), change)
    own = own.subs(phi(t), velocity_of_logit).subs(shape(R), 4 * R).doit()
    rate = sp.lambdify((R, t, eta), own * R * (1 - R), "math")
    gaps = []
    for steps in (200, 400, 800):
        width, weight, followed = 0.5 / steps, 0.3, 0.09
        for step in range(steps):
            now = step * width
            weight += width * (1 + now / 2) * 2 * weight
            k1 = rate(followed, now, width)
            k2 = rate(followed + width / 2 * k1, now + width / 2, width)
            k3 = rate(followed + width / 2 * k2, now + width / 2, width)
            k4 = rate(followed + width * k3, now + width, width)
            followed += width / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        gaps.append(abs(weight**2 - followed))
    require(0.5 < followed < 1, f"R ends at {followed}")
    orders = [sp.log(a / b, 2).evalf() for a, b in pairwise(gaps)]
    require(all(abs(order - 2) < 0.05 for order in orders), f"orders {orders}")
    return f"after 800 steps {gaps[-1]:.0e} off, order {orders[-1]:.3f}"


@check(
    products_back,
    products_in_steps,
    imbalance_in_steps,
    kind=Kind.NUMERIC,
    says="all 2d weights taken half a step back, the measured gradient of R there, one short step",
)
def weights_half_a_step_back(
    products_back: sp.Eq, products_in_steps: sp.Eq, imbalance_in_steps: sp.Eq
) -> str:
    drive, drive_back, learning_rate = mp.mpf("0.7"), mp.mpf("0.6"), mp.mpf("0.3")
    worst = sp.Float(0)

    def follow(claimed: sp.Expr, measured: Real) -> None:
        nonlocal worst
        gap = abs(sp.N(claimed, 30) - exact(measured))
        require(bool(gap < sp.Float(10) ** -15), f"{claimed} but measured {measured}")
        worst = max(worst, gap)

    def pushed(head: Head, at: Head, by: Real) -> Head:
        """``head`` moved along the gradient of R at the head ``at``."""
        return after(head, by, at.gradient(Head.retrieval))

    def gaps_of(head: Head) -> list[Real]:
        half = head.d // 2
        return [
            head.q[n] ** 2 + head.q[n + half] ** 2 - head.k[n] ** 2 - head.k[n + half] ** 2
            for n in range(half)
        ]

    for head in random_heads():
        back = pushed(head, head, -learning_rate / 2 * drive)
        ahead, behind = (pushed(head, back, step * drive_back) for step in (STEP, -STEP))
        planes = range(head.d // 2)
        arrays = state_of(head)
        for where, bases in ((head, (H_re, H_im)), (back, (H_back_re, H_back_im))):
            for base, direction in zip(bases, (mp.mpc(1), mp.mpc(0, 1)), strict=True):
                arrays[base] = {(n,): exact(slope_in_product(where, n, direction)) for n in planes}
        arrays[imbalance] = {(n,): exact(gap) for n, gap in enumerate(gaps_of(head))}
        for n in planes:
            at = {
                r: n,
                F: exact(drive),
                F_back: exact(drive_back),
                eta: exact(learning_rate),
            } | head.sizes()
            there, rates = (
                numbers(equation.rhs, at, arrays) for equation in (products_back, products_in_steps)
            )
            moved = (products(ahead)[n] - products(behind)[n]) / (2 * STEP)
            for part in range(2):
                follow(there[part], (products(back)[n].real, products(back)[n].imag)[part])
                follow(rates[part], (moved.real, moved.imag)[part])
            decay = (gaps_of(ahead)[n] - gaps_of(behind)[n]) / (2 * STEP)
            follow(numbers(imbalance_in_steps.rhs, at, arrays), decay)
    return f"two (T, d), largest deviation {sp.N(worst, 1)}"
