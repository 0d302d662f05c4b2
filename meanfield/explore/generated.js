// The theory as numbers. Written by python -m derivations.generate: do not edit.
// The same equations, from the same statements, as meanfield/generated.py.

// R at the start. (15g)
function nominal_retrieval(T) {
  return 1 / T;
}

// Frequency of RoPE plane r = 0..d/2 - 1, radians a position. (5b)
function power_frequency(r, d, rope_theta) {
  return rope_theta ** (-2 * r / d);
}

// Frequency of RoPE plane r = 0..d/2 - 1 on a linear grid. (5f)
function linear_frequency(r, d, rope_theta) {
  return 1 - (1 - 1 / rope_theta) * (2 * r / d);
}

// Variance of entries drawn uniformly from an interval about 0 of this half-width. (3b)
function uniform_variance(width) {
  return width**2 / 3;
}

// Overlap of independent permutations, on average. (76b), (58c)
function mean_overlap(N) {
  return 1 / N;
}

// Lead of the right state's mean logit over the others'. (11), (12b)
function margin(R, Q, S, C, N, K) {
  const y_c = (R + (1 - R) / K) * Q + (1 - R) * (1 - 1 / K) * S;
  return (N * y_c - C) / (N - 1);
}

// Mean-field loss. (10)
function loss(Delta, N) {
  return logaddexp(0, Math.log(N - 1) - Delta);
}

// phi of RoPE planes of frequencies omega (radians a position), 0 if they do not resolve T. (14b), (14c)
function form_factor(omega, T) {
  omega = omega - 2 * Math.PI * rint(omega / (2 * Math.PI));
  const x = (omega * T) ** 2;
  const w = 1 / T**2;
  const c_1 = (1 - w) / 12;
  const c_2 = -(1 - w) * (2 - 3 * w) / 720;
  const c_3 = (1 - w) * (1 - 2 * w) * (3 - 5 * w) / 60480;
  const c_4 = -(1 - w) * (2 - 3 * w) * (1 - 5 * w + 7 * w**2) / 3628800;
  const c_5 = (1 - w) * (1 - 3 * w) * (2 - 14 * w + 37 * w**2 - 30 * w**3) / 479001600;
  const slow = T * Math.abs(omega) < 1 / 4;
  const resolved = slow ? 1 : omega;
  const by_series = x * (c_1 + x * (c_2 + x * (c_3 + x * (c_4 + x * c_5))));
  const by_closed_form = 1 - (Math.sin(T * resolved / 2) / (T * Math.sin(resolved / 2))) ** 2;
  return slow ? by_series : by_closed_form;
}

// gamma; phi: form factors, planes on the last axis, 0 for one that is not there. (14)
function closure_rate_linear(phi, qk_variance, d, T) {
  return 4 * qk_variance / (d * (T - 1)) * phi.reduce((sum, phi) => sum + phi**2, 0);
}

// g_0; phi: form factors, planes on the last axis, 0 for one that is not there. (70b)
function closure_rate_quadratic(phi, qk_variance, d, T) {
  return 4 * qk_variance / d * (T / (T - 1)) ** 2 * phi.reduce((sum, phi) => sum + phi**2, 0);
}

// (F, dQ/dt, dS/dt): the drive on attention and the rates of the logic. (61b), (15b), (15c)
function driven_rates(R, missing, Q, S, C, N, K) {
  const y_c = (R + missing / K) * Q + missing * (1 - 1 / K) * S;
  const Delta = (N * y_c - C) / (N - 1);
  const g = expit(Math.log(N - 1) - Delta);
  return [g * (N / (N - 1)) * ((K - 1) / K) * (Q - S), g / (N * K) * (R + missing / K), g / (N * K) * (missing / K)];
}

// Growth rate of logit R per unit of the drive F. (15f), (71a)
function growth_linear(logit_R, rate) {
  return rate;
}

// Growth rate of logit R per unit of the drive F. (15f), (71b)
function growth_quadratic(logit_R, rate) {
  const R = expit(logit_R);
  const missing = expit(-logit_R);
  return rate * R * missing;
}

// kappa, the one constant of the curves in internal time. (X1d)
function rate_constant(N, K, rate) {
  return N**2 * ((K - 1) / (N - 1)) * rate;
}

// V = Q + (K - 1) S from U = Q - S and S. (X1e)
function total(U, S, K) {
  return U + K * S;
}

// Margin. (X3b)
function margin_by_gap(R, U, V, C, N, K) {
  return (N * (V / K + (1 - 1 / K) * R * U) - C) / (N - 1);
}

// Derivative of U^2/2 in logit R where attention has the gradient G; kappa of rate 1. (X2a), (X1d)
function gap_square_slope(logit_R, G, kappa) {
  const R = expit(logit_R);
  const missing = expit(-logit_R);
  return R**2 * missing / (kappa * G);
}

// log of dt/dU along a solution. (X3c)
function log_time_slope(logit_R, Delta, N, K) {
  return Math.log(N * K) - log_expit(logit_R) - log_expit(Math.log(N - 1) - Delta);
}

// Time to the total V, small margin. (X3g)
function early_time(V, V0, N, K) {
  return N**2 / (N - 1) * K * (V - V0);
}

// log of the chance that the largest of N - 1 standard normals exceeds y. (17b)
function log_any_above(y, N) {
  const far = y > 30;
  const alone = Math.log(N - 1) + log_ndtr(-y);
  const together = Math.log(-Math.expm1((N - 1) * log_ndtr(far ? 0 : y)));
  return far ? alone : together;
}

// log of what the largest other logit, w deviations above its mean, adds to 1 - a. (17c)
function log_right_below(w, Delta, sigma_c, sigma_o, N) {
  return Math.log(N - 1) + (N - 2) * log_ndtr(w) + log_ndtr((sigma_o * w - Delta) / sigma_c);
}

// Probability that the state after T steps is wrong; error = 1 - a, however small. (18b)
function rollout_error(error, N, T) {
  const informed = error < (N - 1) / N;
  const by_logarithm = -(1 - 1 / N) * Math.expm1(T * Math.log1p(-N * (informed ? error : 0) / (N - 1)));
  const by_power = (1 - 1 / N) * (1 - (1 - N * error / (N - 1)) ** T);
  return informed ? by_logarithm : by_power;
}

// Weight u of P_k - mean; overlap below 1, as equal permutations leave no such part. (X4c)
function retrieval_part(U, U0, overlap) {
  return (U - U0) / (1 - overlap);
}

// Weight v of mean - J/N; overlap above the least, where the mean is J/N. (X4d)
function heuristic_part(V, V0, overlap, N, K) {
  return (V - V0) / (1 + (K - 1) * overlap - K / N);
}

// Variances (sigma_c^2, sigma_o^2) of the right logit and of any other. (X6a), (X6b)
function logit_variances(u, v, R, w_variance, N, K, T) {
  const missing = 1 - R;
  const I_2 = missing**2 / (T - 1);
  const from_start = w_variance * (1 / K + (1 - 1 / K) * (R**2 + I_2));
  const common = (K - 1) * (N - 1) / (N * K) ** 2;
  const lead = v - u;
  const shared = common * lead * (lead + 2 * missing * u);
  const own_c = common * (missing**2 + (N + K - 2) * I_2);
  const own_o = common * (missing**2 + (K - 1 + 1 / (N - 1)) * I_2);
  const variance_c = from_start + shared + own_c * u**2;
  const variance_o = from_start + shared + own_o * u**2;
  return [variance_c, variance_o];
}

// Derivatives of the attention logit at offset m in (p_re, p_im). (X5b)
function plane_waves(omega, m, d) {
  return [Math.cos(omega * m) / Math.sqrt(d), -Math.sin(omega * m) / Math.sqrt(d)];
}

// |q|^2 + |k|^2. (X5i)
function plane_size(p_re, p_im, imbalance) {
  return Math.sqrt(imbalance**2 + 4 * (p_re**2 + p_im**2));
}

// Mean size at the start. (X5n)
function mean_size(qk_variance) {
  return 4 * qk_variance;
}

// Variance of p_re, and of p_im, at the start. (X5m)
function product_spread(qk_variance) {
  return 2 * qk_variance**2;
}

// Variance of the size at the start. (X5o)
function size_spread(qk_variance) {
  return 16 * qk_variance**2 / 5;
}

// What a plane adds to G = |grad_q R|^2 + |grad_k R|^2; H is the gradient of R in p. (X5e)
function plane_gradient(H_re, H_im, size) {
  return size * (H_re**2 + H_im**2);
}

// Time derivatives of (p_re, p_im) under the drive F. (X5f)
function product_rates(H_re, H_im, size, F) {
  return [F * size * H_re, F * size * H_im];
}

// Loss with the fluctuations of the logits to second order. (X8d), (X3b)
function corrected_loss(R, Q, S, Q0, S0, C, overlap, w_variance, N, K, T) {
  const gap_gain = 1 - overlap;
  const total_gain = 1 + (K - 1) * overlap - K / N;
  const U = Q - S;
  const V = Q + (K - 1) * S;
  const u = (U - (Q0 - S0)) / gap_gain;
  const v = (V - (Q0 + (K - 1) * S0)) / total_gain;
  const Delta = (N * (V / K + (1 - 1 / K) * R * U) - C) / (N - 1);
  const g = expit(Math.log(N - 1) - Delta);
  const missing = 1 - R;
  const I_2 = missing**2 / (T - 1);
  const from_start = w_variance * (1 / K + (1 - 1 / K) * (R**2 + I_2));
  const common = (K - 1) * (N - 1) / (N * K) ** 2;
  const lead = v - u;
  const shared = common * lead * (lead + 2 * missing * u);
  const own_c = common * (missing**2 + (N + K - 2) * I_2);
  const own_o = common * (missing**2 + (K - 1 + 1 / (N - 1)) * I_2);
  const variance_c = from_start + shared + own_c * u**2;
  const variance_o = from_start + shared + own_o * u**2;
  const by_from_start = -g * (2 * (N - 1) - N * g) / (2 * (N - 1) ** 2);
  const by_variance_c = g * (N**2 * (1 - g) - 1) / (2 * (N - 1) ** 2);
  const by_variance_o = g / 2;
  return logaddexp(0, Math.log(N - 1) - Delta) + by_from_start * from_start + by_variance_c * variance_c + by_variance_o * variance_o;
}

// The drive F = -dL/dR on attention, and the time derivatives of Q and S. (X8d), (X3b), (X8h), (X8f), (X8g)
function corrected_rates(R, Q, S, Q0, S0, C, overlap, w_variance, N, K, T) {
  const gap_gain = 1 - overlap;
  const total_gain = 1 + (K - 1) * overlap - K / N;
  const U = Q - S;
  const V = Q + (K - 1) * S;
  const u = (U - (Q0 - S0)) / gap_gain;
  const v = (V - (Q0 + (K - 1) * S0)) / total_gain;
  const Delta = (N * (V / K + (1 - 1 / K) * R * U) - C) / (N - 1);
  const g = expit(Math.log(N - 1) - Delta);
  const missing = 1 - R;
  const I_2 = missing**2 / (T - 1);
  const from_start = w_variance * (1 / K + (1 - 1 / K) * (R**2 + I_2));
  const common = (K - 1) * (N - 1) / (N * K) ** 2;
  const lead = v - u;
  const shared = common * lead * (lead + 2 * missing * u);
  const own_c = common * (missing**2 + (N + K - 2) * I_2);
  const own_o = common * (missing**2 + (K - 1 + 1 / (N - 1)) * I_2);
  const variance_c = from_start + shared + own_c * u**2;
  const variance_o = from_start + shared + own_o * u**2;
  const by_from_start = -g * (2 * (N - 1) - N * g) / (2 * (N - 1) ** 2);
  const by_variance_c = g * (N**2 * (1 - g) - 1) / (2 * (N - 1) ** 2);
  const by_variance_o = g / 2;
  const hit = expit(Delta - Math.log(N - 1));
  const added_by_g = -(N - 1 - N * g) / (N - 1) ** 2 * from_start + (N**2 * (1 - 2 * g) - 1) / (2 * (N - 1) ** 2) * variance_c + variance_o / 2;
  const by_margin = -g * (1 + hit * added_by_g);
  const squares_by_R = -2 * missing / (T - 1);
  const from_start_by_R = w_variance * (1 - 1 / K) * (2 * R + squares_by_R);
  const own_c_by_R = common * ((N + K - 2) * squares_by_R - 2 * missing);
  const own_o_by_R = common * ((K - 1 + 1 / (N - 1)) * squares_by_R - 2 * missing);
  const shared_by_R = -2 * common * lead * u;
  const shared_by_u = -2 * common * (R * lead + missing * u);
  const shared_by_v = 2 * common * (lead + missing * u);
  const by_variances = by_variance_c + by_variance_o;
  const slope_R = by_margin * (N / (N - 1)) * ((K - 1) / K) * U + by_from_start * from_start_by_R + by_variances * (from_start_by_R + shared_by_R) + u**2 * (by_variance_c * own_c_by_R + by_variance_o * own_o_by_R);
  const slope_u = by_margin * (N / (N - 1)) * ((K - 1) / K) * R * gap_gain + by_variances * shared_by_u + 2 * u * (by_variance_c * own_c + by_variance_o * own_o);
  const slope_v = by_margin * (N / (N - 1)) / K * total_gain + by_variances * shared_by_v;
  const gap_rate = -slope_u / (N * (K - 1));
  const total_rate = -slope_v / N;
  return [-slope_R, (total_rate + (K - 1) * gap_rate) / K, (total_rate - gap_rate) / K];
}
