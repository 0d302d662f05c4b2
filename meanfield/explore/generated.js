// The theory as numbers. Written by python -m derivations.generate: do not edit.
// The same equations, from the same statements, as meanfield/generated.py.

// Lead of the right state's mean logit over the others'. (11), (12b)
function margin(R, Q, S, C, N, K) {
  const y_c = Q*(R + (1 - R)/K) + S*(1 - R)*(K - 1)/K;
  return -(C - N*y_c)/(N - 1);
}

// Mean-field loss. (10)
function loss(margin, N) {
  return logaddexp(0, -margin + Math.log(N - 1));
}

// phi of RoPE planes of frequencies omega (radians a position), 0 if they do not resolve T. (14b), (14c)
function form_factor(omega, T) {
  omega = omega - 2*Math.PI*rint((1/2)*omega/Math.PI);
  const x = Math.pow(T, 2)*Math.pow(omega, 2);
  const w = Math.pow(T, -2);
  const c_1 = -1/12*(w - 1);
  const c_2 = -1/720*(w - 1)*(3*w - 2);
  const c_3 = -1/60480*(w - 1)*(2*w - 1)*(5*w - 3);
  const c_4 = -1/3628800*(w - 1)*(3*w - 2)*(7*Math.pow(w, 2) - 5*w + 1);
  const c_5 = -1/479001600*(w - 1)*(3*w - 1)*(30*Math.pow(w, 3) - 37*Math.pow(w, 2) + 14*w - 2);
  const slow = T*Math.abs(omega) < 1/4;
  const resolved = ((slow) ? (1) : (omega));
  const by_series = x*(c_1 + x*(c_2 + x*(c_3 + x*(c_4 + c_5*x))));
  const by_closed_form = 1 - Math.pow(Math.sin((1/2)*T*resolved), 2)/(Math.pow(T, 2)*Math.pow(Math.sin((1/2)*resolved), 2));
  return ((slow) ? (by_series) : (by_closed_form));
}

// gamma; sum_phi2 is the sum of form_factor squared over the d/2 planes. (14)
function linear_rate(sum_phi2, qk_variance, d, T) {
  return 4*qk_variance*sum_phi2/(d*(T - 1));
}

// g_0; sum_phi2 is the sum of form_factor squared over the d/2 planes. (70b)
function quadratic_rate(sum_phi2, qk_variance, d, T) {
  return 4*Math.pow(T, 2)*qk_variance*sum_phi2/(d*Math.pow(T - 1, 2));
}

// Time derivatives of (logit R, Q, S), time is eta * epoch. (15f), (71a), (15b), (15c)
function rhs_linear(logit_R, Q, S, C, N, K, rate) {
  const R = expit(logit_R);
  const missing = expit(-logit_R);
  const y_c = Q*(R + missing/K) + S*missing*(K - 1)/K;
  const margin = -(C - N*y_c)/(N - 1);
  const g = expit(-margin + Math.log(N - 1));
  return [N*g*rate*(K - 1)*(Q - S)/(K*(N - 1)), g*(R + missing/K)/(K*N), g*missing/(Math.pow(K, 2)*N)];
}

// Time derivatives of (logit R, Q, S), time is eta * epoch. (15f), (71b), (15b), (15c)
function rhs_quadratic(logit_R, Q, S, C, N, K, rate) {
  const R = expit(logit_R);
  const missing = expit(-logit_R);
  const y_c = Q*(R + missing/K) + S*missing*(K - 1)/K;
  const margin = -(C - N*y_c)/(N - 1);
  const g = expit(-margin + Math.log(N - 1));
  return [N*R*g*missing*rate*(K - 1)*(Q - S)/(K*(N - 1)), g*(R + missing/K)/(K*N), g*missing/(Math.pow(K, 2)*N)];
}

// The one constant of the curves in internal time. (X1d)
function kappa(N, K, rate) {
  return Math.pow(N, 2)*rate*(K - 1)/(N - 1);
}

// Time to the total V, small margin. (X3g)
function early_time(V, V0, N, K) {
  return K*Math.pow(N, 2)*(V - V0)/(N - 1);
}

// U = Q - S where R = 1/2. (X3e)
function onset_gap_linear(U0, logit_R0, kappa) {
  return Math.sqrt(Math.pow(U0, 2) + 2*(log_expit(-logit_R0) + Math.log(2))/kappa);
}

// U = Q - S where R = 1/2. (X3f)
function onset_gap_quadratic(U0, logit_R0, kappa) {
  return Math.sqrt(Math.pow(U0, 2) + 2*(-logit_R0 - Math.exp(logit_R0) + 1)/kappa);
}

// log of the chance that the largest of N - 1 standard normals exceeds y. (17b)
function log_any_above(y, N) {
  const far = y > 30;
  const alone = log_ndtr(-y) + Math.log(N - 1);
  const together = Math.log(-Math.expm1((N - 1)*log_ndtr(((far) ? (0) : (y)))));
  return ((far) ? (alone) : (together));
}

// log of what the largest other logit, w deviations above its mean, adds to 1 - a. (17c)
function log_right_below(w, margin, sigma_c, sigma_o, N) {
  return (N - 2)*log_ndtr(w) + log_ndtr((-margin + sigma_o*w)/sigma_c) + Math.log(N - 1);
}

// Probability that it is wrong, exact however small the error 1 - a. (18b)
function rollout_error(error, N, T) {
  const informed = error < (N - 1)/N;
  const by_logarithm = -(1 - 1/N)*Math.expm1(T*Math.log1p(-N*((informed) ? (error) : (0))/(N - 1)));
  const by_power = (1 - 1/N)*(1 - Math.pow(-N*error/(N - 1) + 1, T));
  return ((informed) ? (by_logarithm) : (by_power));
}

// Weight u of P_k - mean. (X4c)
function retrieval_part(U, U0, overlap) {
  return (-U + U0)/(overlap - 1);
}

// Weight v of mean - J/N. (X4d)
function heuristic_part(V, V0, overlap, N, K) {
  return N*(V - V0)/(K*N*overlap - K - N*overlap + N);
}

// Variances (sigma_c^2, sigma_o^2) of the right logit and of any other. (X6a), (X6b)
function logit_variances(u, v, R, w_variance, N, K, T) {
  const rest = 1 - R;
  const I_2 = Math.pow(rest, 2)/(T - 1);
  const start = w_variance*(I_2*K - I_2 + K*Math.pow(rest, 2) - 2*K*rest + K - Math.pow(rest, 2) + 2*rest)/K;
  const lead = -u + v;
  const mixed = lead*(K - 1)*(N - 1)*(lead + 2*rest*u)/(Math.pow(K, 2)*Math.pow(N, 2));
  const own_c = (K - 1)*(N - 1)*(I_2*K + I_2*N - 2*I_2 + Math.pow(rest, 2))/(Math.pow(K, 2)*Math.pow(N, 2));
  const own_o = (K - 1)*(I_2*K*N - I_2*K - I_2*N + 2*I_2 + N*Math.pow(rest, 2) - Math.pow(rest, 2))/(Math.pow(K, 2)*Math.pow(N, 2));
  const variance_c = mixed + own_c*Math.pow(u, 2) + start;
  const variance_o = mixed + own_o*Math.pow(u, 2) + start;
  return [variance_c, variance_o];
}
