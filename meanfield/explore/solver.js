// The mean-field equations (15) solved for one parameter set, as meanfield/dynamics.py does: the
// state is (logit R, U - U0, S) with U = Q - S, by the method of Dormand and Prince.
const LIMITS = {
  N: [2, 1000], T: [2, 1000], K: [2, 1000], d_head: [2, 1024], rope_theta: [1.01, 1e6],
  lr: [1e-4, 1e4],
};
const POINTS = 201, TOLERANCE = 1e-12, MOST_STEPS = 20000;
const LONGEST = 4 ** 10; // times the estimated onset: no horizon is chosen beyond it
const GROWTH = { linear: growth_linear, quadratic: growth_quadratic };
const RATE = { linear: closure_rate_linear, quadratic: closure_rate_quadratic };
const GAP = { linear: onset_gap_linear, quadratic: onset_gap_quadratic };

// One sentence on the first parameter that cannot be, or "".
function mistake(p) {
  for (const name of ["N", "T", "K", "d_head", "rope_theta", "lr"]) {
    const [low, high] = LIMITS[name], whole = name !== "rope_theta" && name !== "lr";
    if (!Number.isFinite(p[name]) || p[name] < low || p[name] > high || (whole && p[name] % 1)) {
      return `${name} must be ${whole ? "an integer" : "a number"} from ${low} to ${high}.`;
    }
  }
  if (p.d_head % 2) return `d_head must be even, as RoPE turns pairs of components, not ${p.d_head}.`;
  let factorial = 1;
  for (let n = 2; n <= p.N && factorial < p.K; n++) factorial *= n;
  if (factorial < p.K) return `K must be at most N! = ${factorial}, not ${p.K}.`;
  if (!(p.closure in GROWTH)) return `closure must be linear or quadratic, not ${p.closure}.`;
  if (p.epochs !== null && !(p.epochs > 0 && p.epochs <= 1e9)) {
    return "epochs must be a number from 0 to 1e9.";
  }
  return "";
}

function rate_of(p) {
  const phi = [];
  for (let r = 0; r < p.d_head / 2; r++) {
    phi.push(form_factor(power_frequency(r, p.d_head, p.rope_theta), p.T));
  }
  return RATE[p.closure](phi, 1 / 3, p.d_head, p.T);
}

function logit_at_start(p) {
  const R = nominal_retrieval(p.T);
  return Math.log(R / (1 - R));
}

const A = [
  [1 / 5], [3 / 40, 9 / 40], [44 / 45, -56 / 15, 32 / 9],
  [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729],
  [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656],
  [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84],
];
const E = [71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40];

// A walker along the solution: at(t) moves to a later training time and returns the state there.
function walker(p, rate) {
  const N = p.N, K = p.K, growth = GROWTH[p.closure];
  const gap = 1 / Math.sqrt(rate_constant(N, K, rate)), scale = [1, gap * 1e-3, (gap / K) * 1e-3];
  const f = (y) => {
    const R = expit(y[0]), missing = expit(-y[0]);
    const [F, dQ, dS] = driven_rates(R, missing, y[1] + y[2], y[2], 0, N, K);
    return [F * growth(y[0], rate), dQ - dS, dS];
  };
  let t = 0, y = [logit_at_start(p), 0, 0], k1 = f(y), h = 0.01 * N * K * gap, steps = 0;

  function stages(step) {
    const k = [k1];
    let end = y;
    for (const row of A) {
      end = y.map((value, i) => {
        let sum = 0;
        for (let j = 0; j < row.length; j++) sum += row[j] * k[j][i];
        return value + step * sum;
      });
      k.push(f(end));
    }
    let error = 0;
    for (let i = 0; i < 3; i++) {
      let sum = 0;
      for (let j = 0; j < 7; j++) sum += E[j] * k[j][i];
      const allowed = TOLERANCE * (scale[i] + Math.max(Math.abs(y[i]), Math.abs(end[i])));
      error = Math.max(error, Math.abs(step * sum) / allowed);
    }
    return { end, error, slope: k[6] };
  }

  return {
    state: () => ({ t, y }),
    restore(kept) { t = kept.t; y = kept.y; k1 = f(y); },
    at(goal) {
      while (t < goal) {
        if (++steps > MOST_STEPS) throw new Error("These equations take too many steps.");
        const step = Math.min(h, goal - t), { end, error, slope } = stages(step);
        if (error <= 1) {
          t = step === goal - t ? goal : t + step;
          y = end;
          k1 = slope;
        }
        const change = Math.min(5, Math.max(0.2, 0.9 * Math.pow(error + 1e-30, -0.2)));
        if (error > 1 || step === h) h = step * change;
      }
      return y;
    },
  };
}

// 1 - a (17): the trapezoid rule around the peak of the integrand, as meanfield/accuracy.py.
function next_token_error(margin_, sigma_c, sigma_o, N) {
  const over_right = sigma_c <= sigma_o, unit = over_right ? sigma_o : sigma_c;
  const x = margin_ / unit, ratio = over_right ? sigma_c / sigma_o : sigma_o / sigma_c;
  const log_f = over_right
    ? (z) => log_any_above(x + ratio * z, N)
    : (z) => log_right_below(z, x, 1, ratio, N);
  const value = (z) => log_f(z) - (z * z) / 2;
  const reach = ratio * (Math.max(x, 0) + 1);
  let low = over_right ? -reach : 0;
  let high = over_right ? 0 : Math.sqrt(2 * Math.log(N)) + 1 + reach;
  for (let i = 0; i < 9; i++) { // the logarithm is concave: thirds close in on its peak
    const left = low + (high - low) / 3, right = high - (high - low) / 3;
    if (value(left) < value(right)) low = left; else high = right;
  }
  const peak = (low + high) / 2, window = 8.6;
  let intervals = 32, step = (2 * window) / intervals, sum = 0;
  for (let i = 0; i <= intervals; i++) sum += Math.exp(value(peak - window + i * step));
  for (let before = sum * step; intervals < 32 * 256; before = sum * step) {
    for (let i = 0; i < intervals; i++) sum += Math.exp(value(peak - window + (i + 0.5) * step));
    intervals *= 2;
    step /= 2;
    if (Math.abs(sum * step - before) <= 1e-9 * before) break;
  }
  return (sum * step) * Math.exp(-HALF_LOG_2PI);
}

// Everything shown at one state: order parameters, margin, loss and accuracies.
function observe(p, y) {
  const { N, T, K } = p, R = expit(y[0]), S = y[2], U = y[1], Q = U + S, overlap = mean_overlap(N);
  const lead = margin(R, Q, S, 0, N, K);
  const u = retrieval_part(U, 0, overlap), v = heuristic_part(total(U, S, K), 0, overlap, N, K);
  const [right, other] = logit_variances(u, v, R, uniform_variance(1 / Math.sqrt(N)), N, K, T);
  const wrong = next_token_error(lead, Math.sqrt(right), Math.sqrt(other), N);
  const failed = rollout_error(wrong, N, T);
  return { R, Q, S, margin: lead, loss: loss(lead, N), next_token_accuracy: 1 - wrong,
    rollout_accuracy: 1 - failed, rollout_error: failed, logit_R: y[0] };
}

const EVENTS = { // what must have come to 0 from below
  heuristic_end_epoch: (p, seen) => {
    const R = nominal_retrieval(p.T), goal = R + 0.1 * (1 - R);
    return seen.logit_R - Math.log(goal / (1 - goal));
  },
  onset_epoch: (p, seen) => seen.logit_R,
  rollout_half_epoch: (p, seen) => Math.log(0.5) - Math.log(seen.rollout_error),
  saturation_epoch: (p, seen) => Math.log(0.01) - Math.log(seen.rollout_error),
};

// Where a curve ends when nobody says: past saturation, or, where that does not come in reasonable
// time, past the onset; at two digits.
function horizon(p, rate) {
  const way = walker(p, rate);
  // an underestimate, as V exceeds U
  const gap = GAP[p.closure](0, logit_at_start(p), rate_constant(p.N, p.K, rate));
  const onset = early_time(gap, 0, p.N, p.K);
  let locked = 0;
  for (let t = onset; t < LONGEST * onset; t *= 1.2) {
    const seen = observe(p, way.at(t));
    if (seen.logit_R < 0) continue;
    if (seen.rollout_error <= 0.01) return rounded_up((1.2 * t) / p.lr);
    locked ||= t;
  }
  return rounded_up((4 * Math.max(locked, onset)) / p.lr);
}

function rounded_up(epochs) {
  const unit = 10 ** (Math.floor(Math.log10(epochs)) - 1);
  return Math.ceil(epochs / unit) * unit;
}

// The whole curve and its events. Times are in epochs.
function predict(p) {
  const rate = rate_of(p), epochs = p.epochs ?? horizon(p, rate), way = walker(p, rate);
  const curve = { epoch: [] }, events = {};
  let before = null, kept = null;
  for (let i = 0; i < POINTS; i++) {
    const epoch = i === POINTS - 1 ? epochs : (epochs * i) / (POINTS - 1);
    const seen = observe(p, way.at(epoch * p.lr)), here = way.state();
    for (const [name, lead] of Object.entries(EVENTS)) {
      if (name in events || !(lead(p, seen) >= 0)) continue;
      events[name] = before === null ? 0 : crossing(p, way, kept, here, lead);
      way.restore(here);
    }
    curve.epoch.push(epoch);
    for (const name of Object.keys(seen)) (curve[name] ??= []).push(seen[name]);
    before = seen;
    kept = here;
  }
  return { rate, epochs, curve, events };
}

// The epoch at which an event comes between two states: secant steps kept between the ends.
function crossing(p, way, from, to, lead) {
  const at = (t) => { way.restore(from); return lead(p, observe(p, way.at(t))); };
  let a = from.t, b = to.t, fa = at(a + 0), fb = at(b);
  for (let i = 0; i < 60 && b - a > 1e-13 * b; i++) {
    let t = b - (fb * (b - a)) / (fb - fa);
    if (!(t > a && t < b) || i % 3 === 2) t = (a + b) / 2;
    const ft = at(t);
    if (ft === 0) return t / p.lr;
    if (ft < 0) { a = t; fa = ft; } else { b = t; fb = ft; }
  }
  return b / p.lr;
}
