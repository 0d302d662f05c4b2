// What drives R: a closure of the attention gradient, or the softmax attention of a typical seed,
// RoPE plane by plane, as meanfield/attention/{closures,planes,onset,typical}.py.
const GROWTH = { linear: growth_linear, quadratic: growth_quadratic };
const RATE = { linear: closure_rate_linear, quadratic: closure_rate_quadratic };
const FREQUENCY = { power: power_frequency, linear: linear_frequency };
const NODES = 12, PANELS = 3; // of the way to the onset
const SHARES = [0.7, 0.8, 0.9, 1]; // of the mean size, between which the typical one is looked for
const MOST_FINE = 2 ** 14, MOST_WORK = 3e8; // multiplications that a page may take its time for
const logit = (x) => Math.log(x / (1 - x));

function frequencies(p) {
  const found = [];
  for (let r = 0; r < p.d_head / 2; r++) {
    found.push(FREQUENCY[p.rope_spacing](r, p.d_head, p.rope_theta));
  }
  return found;
}

function rate_of(p, closure) {
  const phi = frequencies(p).map((omega) => form_factor(omega, p.T));
  return RATE[closure](phi, p.qk_variance, p.d_head, p.T);
}

// --- the softmax attention -----------------------------------------------------------------------

// Planes as waves over the offsets m = 1..2T-1: logits u = waves p, with p = (real, imaginary parts).
function planes(p) {
  const { T, d_head: d } = p, half = d / 2, waves = new Float64Array((2 * T - 1) * d);
  frequencies(p).forEach((omega, r) => {
    for (let m = 1; m < 2 * T; m++) {
      [waves[(m - 1) * d + r], waves[(m - 1) * d + half + r]] = plane_waves(omega, m, d);
    }
  });
  const [u, by_u] = [0, 1].map(() => new Float64Array(2 * T - 1));
  const [other, per_row] = [0, 1].map(() => new Float64Array(T));
  return { T, d, waves, u, by_u, other, per_row, H: new Float64Array(d) };
}

// R (8), 1 - R and the gradient of R in p (X5c), which the next call overwrites. Row i of the
// attention sees the offsets i..i+T-1.
function retrieval({ T, d, waves, u, by_u, other, per_row, H }, p) {
  const count = 2 * T - 1;
  let most = -Infinity;
  for (let m = 0, at = 0; m < count; m++) {
    let sum = 0;
    for (let c = 0; c < d; c++, at++) sum += waves[at] * p[c];
    u[m] = sum;
    if (sum > most) most = sum;
  }
  for (let m = 0; m < count; m++) u[m] = Math.exp(u[m] - most); // from here on the weights
  const own = u[T - 1];
  other[T - 1] = 0;
  for (let i = T - 2, sum = 0; i >= 0; i--) other[i] = sum += u[i];
  for (let i = 1, sum = 0; i < T; i++) other[i] += sum += u[T - 1 + i];
  let R = 0, missing = 0, by_own = 0;
  for (let i = 0; i < T; i++) {
    const row = own + other[i];
    R += own / row / T;
    missing += other[i] / row / T;
    per_row[i] = own / T / (row * row);
  }
  for (let m = 0, sum = 0; m < T - 1; m++) by_own -= by_u[m] = -u[m] * (sum += per_row[m]);
  for (let i = T - 1, sum = 0; i > 0; i--) {
    by_own -= by_u[T - 1 + i] = -u[T - 1 + i] * (sum += per_row[i]);
  }
  by_u[T - 1] = by_own;
  H.fill(0);
  for (let m = 0, at = 0; m < count; m++) {
    const slope = by_u[m];
    for (let c = 0; c < d; c++, at++) H[c] += slope * waves[at];
  }
  return { R, missing, H };
}

// Velocity of p per unit of the drive (X5f), and G (X5e).
function flow(rope, p, imbalance) {
  const { R, missing, H } = retrieval(rope, p), half = rope.d / 2, slope = new Float64Array(rope.d);
  let G = 0;
  for (let r = 0; r < half; r++) {
    const size = plane_size(p[r], p[half + r], imbalance[r]);
    G += plane_gradient(H[r], H[half + r], size);
    const [by_re, by_im] = product_rates(H[r], H[half + r], size, 1);
    slope[r] = by_re;
    slope[half + r] = by_im;
  }
  return { R, missing, G, slope };
}

// G where logit R comes to each of these values, in ascending order: one step of Runge and Kutta each.
function gradients(rope, head, values) {
  const d = rope.d, moved = new Float64Array(d);
  const along = (p) => { // R, G and the derivative of p by logit R
    const { R, missing, G, slope } = flow(rope, p, head.imbalance), pace = (R * missing) / G;
    for (let c = 0; c < d; c++) slope[c] *= pace;
    return { R, G, slope };
  };
  const ahead = (h, k) => {
    for (let c = 0; c < d; c++) moved[c] = p[c] + h * k[c];
    return along(moved).slope;
  };
  const p = Float64Array.from(head.p), start = retrieval(rope, p);
  let here = Math.log(start.R / start.missing), at = along(p);
  return values.map((there) => {
    const h = there - here, k1 = at.slope, k2 = ahead(h / 2, k1), k3 = ahead(h / 2, k2);
    const k4 = ahead(h, k3);
    for (let c = 0; c < d; c++) p[c] += (h / 6) * (k1[c] + 2 * k2[c] + 2 * k3[c] + k4[c]);
    at = along(p);
    here = there;
    return Math.abs(at.R - expit(here)) < 1e-3 ? at.G : NaN;
  });
}

// --- the way to the onset ------------------------------------------------------------------------

// Legendre polynomials P_0..P_n at x.
function legendre(n, x) {
  const found = [1, x];
  for (let k = 2; k <= n; k++) found.push(((2 * k - 1) * x * found[k - 1] - (k - 1) * found[k - 2]) / k);
  return found;
}

// Points of Gauss and Legendre, their weights, and the matrix to the running integral at the points.
const RULE = (() => {
  const x = [], weights = [];
  for (let j = 0; j < NODES; j++) {
    let z = -Math.cos((Math.PI * (j + 0.75)) / (NODES + 0.5)), slope = 1;
    for (let i = 0; i < 50; i++) {
      const P = legendre(NODES, z);
      slope = (NODES * (P[NODES - 1] - z * P[NODES])) / (1 - z * z);
      z -= P[NODES] / slope;
    }
    x.push(z);
    weights.push(2 / ((1 - z * z) * slope ** 2));
  }
  const at = x.map((z) => legendre(NODES, z));
  const running = at.map((P) => at.map((Q, j) => {
    let sum = ((P[1] + 1) / 2) * weights[j];
    for (let k = 1; k < NODES; k++) sum += 0.5 * (P[k + 1] - P[k - 1]) * Q[k] * weights[j];
    return sum;
  }));
  return { x, weights, running };
})();

// The integral of values at the points of panels of half-width h: at every point, and in all.
function integrated(values, h) {
  const found = [];
  let before = 0;
  for (let start = 0; start < values.length; start += NODES) {
    const own = values.slice(start, start + NODES);
    const sum = (row) => row.reduce((total, weight, j) => total + weight * own[j], 0);
    found.push(...RULE.running.map((row) => before + h * sum(row)));
    before += h * sum(RULE.weights);
  }
  return { at: found, end: before };
}

// How R comes from its start to R_end by G: the gap U, V and the logarithm of the time (X2a), (X3c).
function onset(p, gradient, logit_R0, R_end, count = PANELS) {
  const { N, K } = p, h = 0.5 / count, rise = logit(R_end) - logit_R0, x = [];
  for (let panel = 0; panel < count; panel++) x.push(...RULE.x.map((z) => 2 * h * panel + h * (1 + z)));
  const rho = x.map((z) => rise * z * z + logit_R0), G = gradient(rho), kappa = rate_constant(N, K, 1);
  const by_x = x.map((z, i) => 2 * rise * z * gap_square_slope(rho[i], G[i], kappa));
  const squares = integrated(by_x, h), U = squares.at.map((square) => Math.sqrt(2 * square));
  const dU = by_x.map((each, i) => each / U[i]);
  const V = integrated(dU.map((each, i) => each / expit(rho[i])), h);
  const log_dt = rho.map((each, i) =>
    log_time_slope(each, margin_by_gap(expit(each), U[i], V.at[i], 0, N, K), N, K) + Math.log(dU[i]));
  const most = Math.max(...log_dt), t = integrated(log_dt.map((each) => Math.exp(each - most)), h).end;
  return { U: Math.sqrt(2 * squares.end), V: V.end, log_t: most + Math.log(t) };
}

const logit_at_start = (p) => logit(nominal_retrieval(p.T));
const onset_retrieval = (T) => (T > 2 ? 0.5 : 0.75);

function onset_of_closure(p, closure, R_end) {
  const rate = rate_of(p, closure);
  const gradient = (rho) => rho.map((each) => GROWTH[closure](each, rate) * expit(each) * expit(-each));
  return onset(p, gradient, logit_at_start(p), R_end);
}

function onset_of_head(p, rope, head, count) {
  const { R, missing } = retrieval(rope, head.p), R_end = onset_retrieval(p.T);
  if (!(R < R_end)) return { U: NaN, V: NaN, log_t: NaN };
  return onset(p, (rho) => gradients(rope, head, rho), Math.log(R / missing), R_end, count);
}

function mean_head(p, share) {
  const imbalance = new Float64Array(p.d_head / 2).fill(share * mean_size(p.qk_variance));
  return { p: new Float64Array(p.d_head), imbalance };
}

// How much later a closure comes to its onset than the softmax attention from its mean start:
// 0.1 is 10 %. NaN where that cannot be followed, or not while the reader waits.
function relative_delay(p, closure) {
  if (16 * PANELS * NODES * p.T * p.d_head > MOST_WORK) return NaN;
  const own = onset_of_head(p, planes(p), mean_head(p, 1), PANELS);
  return Math.expm1(onset_of_closure(p, closure, onset_retrieval(p.T)).log_t - own.log_t);
}

// --- the typical seed ----------------------------------------------------------------------------

let typical = { key: "", share: NaN }; // the last one: N, K and lr do not change it

// The share of the mean size with which the mean start locks on when a typical seed does.
function typical_share(p) {
  const key = JSON.stringify([p.T, p.d_head, p.rope_theta, p.rope_spacing, p.qk_variance]);
  if (typical.key !== key) typical = { key, share: find_typical_share(p) };
  if (typical.share > 0.5 && typical.share < 1.05) return typical.share;
  throw new Error(typical.share === Infinity
    ? "The softmax attention of so many planes and actions takes too long for a page: run the " +
      "command, or choose a closure."
    : "No seed is typical here: too far from the mean start. Choose a closure.");
}

function find_typical_share(p) {
  const d = p.d_head, half = d / 2, rope = planes(p), size = mean_size(p.qk_variance);
  const work = (count) => 16 * count * NODES * p.T * d * (3 * d + SHARES.length);
  if (work(1) > MOST_WORK) return Infinity;
  const by_product = Math.sqrt(product_spread(p.qk_variance));
  const by_size = Math.sqrt(size_spread(p.qk_variance)), deviations = [];
  for (const sign of [1, -1]) {
    for (let c = 0; c < d; c++) {
      const head = mean_head(p, 1);
      head.p[c] = sign * by_product;
      head.imbalance[c % half] = Math.sqrt(size ** 2 - 4 * by_product ** 2);
      deviations.push(head);
    }
    for (let r = 0; r < half; r++) {
      const head = mean_head(p, 1);
      head.imbalance[r] += sign * by_size;
      deviations.push(head);
    }
  }
  const log_V = (head, count) => Math.log(onset_of_head(p, rope, head, count).V);
  const all = (count) => [
    deviations.map((head) => log_V(head, count)),
    SHARES.map((share) => log_V(mean_head(p, share), count)),
  ];
  let [around, shares] = all(1);
  const even = [...around, ...shares].every(Number.isFinite) &&
    Math.abs(log_V(mean_head(p, 1), PANELS) - shares[3]) < 0.02;
  if (!even && p.T * d <= MOST_FINE) {
    if (work(4 * PANELS) > 4 * MOST_WORK) return Infinity;
    [around, shares] = all(4 * PANELS);
  }
  const wanted = shares[3] + around.reduce((sum, each) => sum + (each - shares[3]) / 2, 0);
  const x = SHARES.map(Math.log), mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;
  const mean_x = mean(x), mean_y = mean(shares); // larger sizes lock on earlier: nearly a power law
  const slope = mean(x.map((each, i) => (each - mean_x) * (shares[i] - mean_y))) /
    mean(x.map((each) => (each - mean_x) ** 2));
  return Math.exp((wanted - (mean_y - slope * mean_x)) / slope);
}
