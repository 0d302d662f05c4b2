// The mean-field equations (15) solved for one parameter set, as meanfield/dynamics.py does: the
// state is attention's own, then U - U0 and S with U = Q - S, by the method of Dormand and Prince.
const POINTS = 201, MOST_STEPS = 20000;
const LONGEST = 4 ** 10; // times the estimated onset: no horizon is chosen beyond it

// One sentence on the first parameter that cannot be, or "".
function mistake(p) {
  for (const [name, [low, high, whole]] of Object.entries(LIMITS)) {
    if (name === "w_init" && p.w_init === null) continue; // it follows N
    if (!Number.isFinite(p[name]) || p[name] < low || p[name] > high || (whole && p[name] % 1)) {
      return `${name} must be ${whole ? "an integer" : "a number"} from ${low} to ${high}.`;
    }
  }
  if (p.d_head % 2) return `d_head must be even, as RoPE turns pairs of components, not ${p.d_head}.`;
  let factorial = 1;
  for (let n = 2; n <= p.N && factorial < p.K; n++) factorial *= n;
  if (factorial < p.K) return `K must be at most N! = ${factorial}, not ${p.K}.`;
  for (const [name, known] of Object.entries(CHOICES)) {
    if (!known.includes(p[name])) return `${name} must be ${known.join(" or ")}, not ${clipped(p[name])}.`;
  }
  if (p.epochs !== null && !(p.epochs >= 1e-3 && p.epochs <= 1e9)) {
    return "epochs must be a number from 0.001 to 1e9.";
  }
  return "";
}

const is_closure = (theory) => CLOSURES.includes(theory);
const is_fluctuating = (theory) => theory.includes("+");
const clipped = (text) => (String(text).length > 40 ? `${String(text).slice(0, 40)}...` : String(text));

// Attention as the solver sees it: its state, R and its velocity per drive.
function attention_of(p) {
  if (!is_closure(p.theory)) {
    const head = mean_head(p, typical_share(p)), rope = planes(p), own = 1e-2 * mean_size(p.qk_variance);
    const of = (y) => y.subarray(0, p.d_head);
    return {
      start: head.p, scale: head.p.map(() => own), tolerance: 1e-9,
      observe: (y) => { const { R, missing } = retrieval(rope, of(y)); return [R, missing]; },
      motion: (y) => flow(rope, of(y), head.imbalance),
    };
  }
  const rate = rate_of(p, p.theory), growth = GROWTH[p.theory];
  return {
    start: [logit_at_start(p)], scale: [1], tolerance: 1e-12,
    observe: (y) => [expit(y[0]), expit(-y[0])],
    motion: (y) => ({ R: expit(y[0]), missing: expit(-y[0]), slope: [growth(y[0], rate)] }),
  };
}

const A = [
  [1 / 5], [3 / 40, 9 / 40], [44 / 45, -56 / 15, 32 / 9],
  [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729],
  [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656],
  [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84],
];
const E = [71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40];

// (F, dQ/dt, dS/dt) at a state, and the loss there: mean field, or with fluctuations of the logits.
function loss_of(p) {
  const { N, T, K } = p, known = [0, 0, 0, mean_overlap(N), uniform_variance(p.w_init), N, K, T];
  if (is_fluctuating(p.theory)) {
    return {
      rates: (R, missing, Q, S) => corrected_rates(R, Q, S, ...known),
      value: (R, Q, S) => corrected_loss(R, Q, S, ...known),
    };
  }
  return {
    rates: (R, missing, Q, S) => driven_rates(R, missing, Q, S, 0, N, K),
    value: (R, Q, S) => loss(margin(R, Q, S, 0, N, K), N),
  };
}

// A walker along the solution: at(t) moves to a later training time and returns the state there.
function walker(p, attention) {
  const { N, K } = p, own = attention.start.length, size = own + 2, { rates } = loss_of(p);
  const gap = 1 / Math.sqrt(rate_constant(N, K, rate_of(p, "linear")));
  const scale = [...attention.scale, gap * 1e-3, (gap / K) * 1e-3];
  const f = (y) => {
    const { R, missing, slope } = attention.motion(y), S = y[own + 1];
    const [F, dQ, dS] = rates(R, missing, y[own] + S, S), found = new Float64Array(size);
    for (let i = 0; i < own; i++) found[i] = F * slope[i];
    found[own] = dQ - dS;
    found[own + 1] = dS;
    return found;
  };
  let t = 0, y = Float64Array.from([...attention.start, 0, 0]), k1 = f(y), steps = 0;
  let h = 0.01 * N * K * gap;

  function stages(step) {
    const k = [k1];
    let end = y, error = 0;
    for (const row of A) {
      end = Float64Array.from(y);
      row.forEach((weight, j) => {
        const slope = k[j], by = step * weight;
        for (let i = 0; i < size; i++) end[i] += by * slope[i];
      });
      k.push(f(end));
    }
    for (let i = 0; i < size; i++) {
      let sum = 0;
      for (let j = 0; j < 7; j++) sum += E[j] * k[j][i];
      const allowed = attention.tolerance * (scale[i] + Math.max(Math.abs(y[i]), Math.abs(end[i])));
      error = Math.max(error, Math.abs(step * sum) / allowed);
    }
    return { end, error, slope: k[6] };
  }

  return {
    state: () => ({ t, y }),
    restore(kept) { t = kept.t; y = kept.y; k1 = f(y); },
    at(goal) {
      while (t < goal) {
        if (++steps > MOST_STEPS) throw new Error("It takes too many steps to the last epoch: the page cannot draw so long a curve.");
        const step = Math.min(h, goal - t), { end, error, slope } = stages(step);
        if (error <= 1) {
          t = step === goal - t ? goal : t + step;
          y = end;
          k1 = slope;
        }
        const change = Math.min(5, Math.max(0.2, 0.9 * Math.pow(error + 1e-30, -0.2)));
        if (!(error <= 1) || step === h) h = step * (change || 0.2);
      }
      return y;
    },
  };
}

// 1 - a (17): the trapezoid rule around the peak of the integrand, as meanfield/logits/gaussian.py.
function next_token_error(margin_, sigma_c, sigma_o, N) {
  if (!(sigma_c > 0 || sigma_o > 0)) return margin_ > 0 ? 0 : margin_ < 0 ? 1 : 1 - 1 / N; // no noise
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
function observe(p, attention, y) {
  const { N, T, K } = p, [R, missing] = attention.observe(y), [U, S] = y.slice(-2), Q = U + S;
  const overlap = mean_overlap(N), lead = margin(R, Q, S, 0, N, K);
  const u = retrieval_part(U, 0, overlap), v = heuristic_part(total(U, S, K), 0, overlap, N, K);
  const [right, other] = logit_variances(u, v, R, uniform_variance(p.w_init), N, K, T);
  const wrong = next_token_error(lead, Math.sqrt(right), Math.sqrt(other), N);
  const failed = rollout_error(wrong, N, T);
  return { R, Q, S, margin: lead, loss: loss_of(p).value(R, Q, S), next_token_accuracy: 1 - wrong,
    rollout_accuracy: 1 - failed, rollout_error: failed, logit_R: Math.log(R / missing) };
}

const EVENTS = { // what must have come to 0 from below
  heuristic_end_epoch: (p, seen) => {
    const R = nominal_retrieval(p.T);
    return seen.logit_R - logit(R + 0.1 * (1 - R));
  },
  onset_epoch: (p, seen) => seen.logit_R,
  rollout_half_epoch: (p, seen) => Math.log(0.5) - Math.log(seen.rollout_error),
  saturation_epoch: (p, seen) => Math.log(0.01) - Math.log(seen.rollout_error),
};

// Where a curve ends when nobody says: past saturation, or, where that does not come in reasonable
// time, past the onset; at two digits.
function horizon(p, attention) {
  const way = walker(p, attention), closure = is_closure(p.theory) ? p.theory : "linear";
  const R_end = Math.max(onset_retrieval(p.T), (1 + nominal_retrieval(p.T)) / 2);
  const onset = early_time(onset_of_closure(p, closure, R_end).V, 0, p.N, p.K); // an underestimate
  let locked = 0;
  for (let t = onset; t < LONGEST * onset; t *= 1.2) {
    const seen = observe(p, attention, way.at(t));
    if (seen.logit_R < 0) continue;
    if (seen.rollout_error <= 0.01) return rounded_up((1.2 * t) / p.lr);
    locked ||= t;
  }
  return rounded_up((4 * Math.max(locked, onset)) / p.lr);
}

function rounded_up(epochs) {
  const unit = 10 ** (Math.floor(Math.log10(epochs)) - 1);
  return Number((Math.ceil(epochs / unit) * unit).toPrecision(2));
}

// The whole curve and its events. Times are in epochs.
function predict(asked) {
  const p = { ...asked, w_init: asked.w_init ?? 1 / Math.sqrt(asked.N) };
  const attention = attention_of(p), epochs = p.epochs ?? horizon(p, attention);
  const curve = { epoch: [] }, events = {}, way = walker(p, attention);
  let before = null, kept = null;
  for (let i = 0; i < POINTS; i++) {
    const epoch = i === POINTS - 1 ? epochs : (epochs * i) / (POINTS - 1);
    const seen = observe(p, attention, way.at(epoch * p.lr)), here = way.state();
    for (const [name, lead] of Object.entries(EVENTS)) {
      if (name in events || !(lead(p, seen) >= 0)) continue;
      events[name] = before === null ? 0 : crossing(p, attention, way, kept, here, lead);
      way.restore(here);
    }
    curve.epoch.push(epoch);
    for (const name of Object.keys(seen)) (curve[name] ??= []).push(seen[name]);
    before = seen;
    kept = here;
  }
  if (!Object.values(curve).flat().every((each) => !Number.isNaN(each))) {
    throw new Error("These equations leave the numbers that a computer holds.");
  }
  return { epochs, curve, events };
}

// The epoch at which an event comes between two states: secant steps kept between the ends.
function crossing(p, attention, way, from, to, lead) {
  const at = (t) => { way.restore(from); return lead(p, observe(p, attention, way.at(t))); };
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
