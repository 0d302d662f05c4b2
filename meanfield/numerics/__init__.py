"""Numerical tools that know no physics: ODE solver, panels of Gauss-Legendre nodes."""
