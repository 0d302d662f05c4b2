// The page: sliders in, curves out. The address after # carries the parameters.
const CONTROLS = [ // name, label, slider from, to, step, logarithmic
  ["N", "N, states", 3, 100, 1, false],
  ["K", "K, permutations", 2, 100, 1, false],
  ["T", "T, actions per sequence", 2, 50, 1, false],
  ["d_head", "d_head, of query and key", 2, 256, 2, false],
  ["rope_theta", "rope_theta, RoPE base", Math.log10(1.5), 5, 0.01, true],
  ["lr", "lr, learning rate", -1, 2, 0.01, true],
  ["qk_variance", "qk_variance, of query and key", -2, 1, 0.01, true],
];
const SELECTS = { theory: "theory of attention and loss", rope_spacing: "RoPE frequencies" };
const TIES = { K: "K = N", w_init: "w_init = 1/sqrt(N), the start of the logic" };
const COARSE = 15; // epochs to the onset below which gradient steps lag the flow by a tenth
const PHASES = {
  heuristic_end_epoch: "heuristic ends (R a tenth of its way up)",
  onset_epoch: "attention onset (R = 1/2)",
  rollout_half_epoch: "rollout accuracy 1/2",
  saturation_epoch: "saturation (rollout accuracy 0.99)",
};
const PLOTS = {
  accuracies: [["R", "R", "--blue", ""], ["next_token_accuracy", "next token", "--vermilion", "7 3"],
    ["rollout_accuracy", "rollout", "--green", "2 3"]],
  overlaps: [["Q", "Q", "--vermilion", ""], ["S", "S", "--green", "7 3"]],
};
const LEFT = 40, RIGHT = 12; // margins of the plots
const find = (id) => document.getElementById(id);
const short = (x) => String(Number(x.toPrecision(3)));
const epochs_of = (x) => (x < 1e7 ? x.toFixed(1) : x.toExponential(3));
let chosen = { ...START }, result = null, tied = START.K === START.N, renewal = 0;

function build() {
  for (const [name, label, low, high, step] of CONTROLS) {
    find("controls").insertAdjacentHTML("beforeend", `<div class="control">
      <label for="${name}">${label}</label>
      <input type="number" id="${name}" step="any" inputmode="decimal">
      <input type="range" id="${name}-slider" min="${low}" max="${high}" step="${step}"
        aria-label="${label}"></div>` + (name === "K" ? tie("K") : ""));
  }
  find("controls").insertAdjacentHTML("beforeend", `<div class="control">
    <label for="w_init">w_init</label><input type="number" id="w_init" step="any"></div>` +
    tie("w_init"));
  for (const [name, label] of Object.entries(SELECTS)) {
    const options = CHOICES[name].map((each) => `<option>${each}</option>`).join("");
    find("controls").insertAdjacentHTML(name === "theory" ? "afterbegin" : "beforeend",
      `<div class="choice"><label for="${name}">${label}</label>
      <select id="${name}">${options}</select></div>`);
    find(name).addEventListener("change", () => change(name, find(name).value));
  }
  for (const [name, , , , , log] of CONTROLS) {
    const slider = find(`${name}-slider`);
    slider.addEventListener("input", () =>
      change(name, log ? Number(short(10 ** slider.valueAsNumber)) : slider.valueAsNumber));
    find(name).addEventListener("input", () => change(name, find(name).valueAsNumber));
  }
  find("w_init").addEventListener("input", () => change("w_init", find("w_init").valueAsNumber));
  find("K-tied").addEventListener("change", () => {
    tied = find("K-tied").checked;
    change("K", tied ? chosen.N : chosen.K);
  });
  find("w_init-tied").addEventListener("change", () =>
    change("w_init", find("w_init-tied").checked ? null : Number(short(w_init()))));
  find("command").addEventListener("click", () => copy(command(), "The command"));
  find("link").addEventListener("click", () => copy(location.href.split("#")[0] + "#" + address(), "The link"));
  find("reset").addEventListener("click", () => {
    chosen = { ...START };
    tied = chosen.K === chosen.N;
    update();
  });
  for (const id of Object.keys(PLOTS)) {
    find(id).addEventListener("pointermove", (event) => point(find(id), event));
  }
  addEventListener("hashchange", () => { read(); update(false); });
  addEventListener("resize", draw);
}

function tie(name) {
  return `<label class="check"><input type="checkbox" id="${name}-tied"> ${TIES[name]}</label>`;
}

const w_init = () => chosen.w_init ?? 1 / Math.sqrt(chosen.N);

function change(name, value) {
  chosen[name] = value;
  if (name === "K" && chosen.K !== chosen.N) tied = false;
  if (name === "N" && tied) chosen.K = value;
  chosen.epochs = null;
  update();
}

function read() {
  const given = new URLSearchParams(location.hash.slice(1));
  chosen = { ...START };
  for (const [alias, text] of given) {
    const name = alias === "closure" ? "theory" : alias; // as links of old have it
    if (Object.hasOwn(CHOICES, name)) chosen[name] = text;
    else if (Object.hasOwn(START, name)) chosen[name] = text.trim() === "" ? NaN : Number(text);
  }
  if (given.has("N") && !given.has("K")) chosen.K = chosen.N;
  tied = chosen.K === chosen.N;
}

function update(renew = true) {
  const began = performance.now();
  for (const [name, , , , , log] of CONTROLS) {
    const value = chosen[name], known = Number.isFinite(value), slider = find(`${name}-slider`);
    if (document.activeElement !== find(name)) find(name).value = known ? Number(value.toPrecision(6)) : "";
    if (document.activeElement !== slider && known) {
      slider.value = log ? Math.log10(Math.max(value, 1e-9)) : value;
    }
    slider.setAttribute("aria-valuetext", String(chosen[name]));
  }
  for (const name of Object.keys(SELECTS)) find(name).value = chosen[name];
  find("K-tied").checked = tied;
  find("w_init-tied").checked = chosen.w_init === null;
  if (document.activeElement !== find("w_init")) {
    find("w_init").value = Number.isFinite(w_init()) ? short(w_init()) : "";
  }
  find("told").textContent = "";
  let wrong = mistake(chosen);
  if (!wrong) {
    try { result = predict(chosen); } catch (error) { wrong = error.message; }
  }
  if (wrong) result = null;
  find("mistake").hidden = !wrong;
  find("mistake").textContent = wrong;
  for (const part of document.querySelectorAll(".shown")) part.hidden = Boolean(wrong);
  find("command").disabled = find("link").disabled = Boolean(wrong);
  find("line").textContent = wrong ? "" : command();
  if (!wrong) draw();
  clearTimeout(renewal); // browsers refuse an address that changes with every move of a slider
  if (renew) renewal = setTimeout(() => history.replaceState(null, "", "#" + address()), 150);
  document.documentElement.dataset.ms = performance.now() - began;
}

// What the curves leave out, and how far they can be trusted: a sentence each.
function caveats() {
  const { theory, T } = chosen, { onset_epoch: onset, rollout_half_epoch: learned } = result.events;
  const found = [];
  if (is_closure(theory)) {
    const delay = relative_delay(chosen, theory), percent = Math.round(100 * Math.abs(delay));
    const by = delay > 9 ? "more than ten times as late as" : `${percent}% ${delay > 0 ? "later" : "earlier"} than`;
    const what = T > 2 ? "the onset" : "R = 3/4";
    found.push(`This is the ${theory} closure, which stands in for the softmax attention. ` + (
      Number.isNaN(delay) ? "How far it is off cannot be judged here."
        : `Here ${what} comes ${by} that of the softmax attention itself: ` +
          (Math.abs(delay) <= TOLERANCE ? "trusted for the onset only." : "not trusted.")));
    if (!(Math.abs(delay) <= TOLERANCE)) found.trusted = false;
  } else {
    found.push("This is the softmax attention of a typical seed, no closure" +
      (is_fluctuating(theory) ? ", with the fluctuations of the logits in the loss" : "") +
      ". Seeds differ: the command says by how much.");
  }
  if (learned < (onset ?? Infinity) && T > 2) {
    found.push("Accuracies before the onset are not to be trusted: with few actions the wrong " +
      "logits are not independent Gaussians.");
  }
  if (onset > 0 && onset < COARSE) {
    found.push(`With the onset at epoch ${short(onset)} the steps are too coarse for gradient flow.`);
  }
  return found;
}

function address() {
  const kept = Object.entries(chosen).filter(([, value]) => value !== null);
  return new URLSearchParams(kept).toString();
}

function command() {
  const p = chosen, extra = [];
  if (p.rope_spacing !== DEFAULTS.rope_spacing) extra.push(` --rope-spacing ${p.rope_spacing}`);
  if (p.qk_variance !== DEFAULTS.qk_variance) extra.push(` --qk-variance ${p.qk_variance}`);
  if (p.w_init !== null) extra.push(` --w-init ${p.w_init}`);
  return `python -m meanfield.predict --N ${p.N} --T ${p.T} --K ${p.K} --d-head ${p.d_head} ` +
    `--rope-theta ${p.rope_theta} --lr ${p.lr}${extra.join("")} --theory ${p.theory} ` +
    `--epochs ${result.epochs}`;
}

function copy(text, what) {
  const say = (done) => { find("told").textContent = done; };
  const failed = () => say(`${what} could not be copied: ${text}`);
  if (!navigator.clipboard) return failed();
  return navigator.clipboard.writeText(text).then(() => say(`${what} is copied.`), failed);
}

function draw() {
  if (!result) return;
  for (const [id, series] of Object.entries(PLOTS)) plot(find(id), series, id === "accuracies");
  find("values").textContent = "Point at a plot to read the curves there.";
  const told = caveats();
  find("trust").className = told.trusted === false ? "wary" : "";
  find("trust").replaceChildren(...told.map((each) => {
    const line = document.createElement("p");
    line.textContent = each;
    return line;
  }));
  find("phases").innerHTML = Object.entries(PHASES).map(([name, label], i) => {
    const epoch = result.events[name];
    const when = epoch === undefined ? "not yet" : `epoch ${epochs_of(epoch)}`;
    return `<tr><td>${i + 1}</td><td>${label}</td><td class="number">${when}</td></tr>`;
  }).join("");
}

// Read all curves at the epoch under the pointer.
function point(svg, event) {
  if (!result) return;
  const box = svg.getBoundingClientRect(), curve = result.curve, last = curve.epoch.length - 1;
  const share = (event.clientX - box.left - LEFT) / (box.width - LEFT - RIGHT);
  const i = Math.round(last * Math.min(1, Math.max(0, share)));
  const x = LEFT + ((box.width - LEFT - RIGHT) * i) / last;
  for (const hair of document.querySelectorAll(".hair")) {
    hair.setAttribute("x1", x);
    hair.setAttribute("x2", x);
  }
  const told = Object.values(PLOTS).flat().map(([name, label]) => `${label} ${short(curve[name][i])}`);
  find("values").textContent = `Epoch ${epochs_of(curve.epoch[i])}: ${told.join(", ")}`;
}

function plot(svg, series, unit) {
  const width = svg.clientWidth || 600, height = svg.clientHeight || 240;
  const left = LEFT, right = width - RIGHT, top = 22, bottom = height - 34, last = result.epochs;
  const values = series.flatMap(([name]) => result.curve[name]);
  const least = Math.min(0, ...values), most = unit ? 1 : Math.max(...values) * 1.05 || 1;
  const x = (epoch) => left + ((right - left) * epoch) / last;
  const y = (value) => bottom - ((bottom - top) * (value - least)) / (most - least);
  const label = (epoch) => (last < 1e6 ? epoch : Number(epoch.toPrecision(3)).toExponential());
  const parts = [], numbers = [];
  for (const value of ticks(least, most, 5)) {
    parts.push(`<line class="grid" x1="${left}" x2="${right}" y1="${y(value)}" y2="${y(value)}"/>`,
      `<text x="${left - 6}" y="${y(value) + 4}" text-anchor="end">${short(value)}</text>`);
  }
  for (const epoch of ticks(0, last, Math.max(3, Math.floor(width / 150)))) {
    const anchor = x(epoch) > right - 12 ? "end" : "middle";
    parts.push(`<text x="${x(epoch)}" y="${bottom + 15}" text-anchor="${anchor}">${label(epoch)}</text>`);
  }
  parts.push(`<text x="${(left + right) / 2}" y="${height - 4}" text-anchor="middle">epoch</text>`);
  Object.keys(PHASES).forEach((name, i) => {
    const epoch = result.events[name];
    if (!(epoch > 0)) return;
    parts.push(`<line class="marker" x1="${x(epoch)}" x2="${x(epoch)}" y1="${top}" y2="${bottom}"/>`);
    numbers.push(`<text class="number" x="${x(epoch)}" y="${top + 24}">${i + 1}</text>`);
  });
  parts.push(`<line class="hair" x1="-9" x2="-9" y1="${top}" y2="${bottom}"/>`);
  parts.push(`<path class="axis" fill="none" d="M${left} ${top}V${bottom}H${right}"/>`);
  let at = left + 4;
  for (const [name, label, color, dashes] of series) {
    const line = result.curve[name].map((value, i) =>
      `${x(result.curve.epoch[i]).toFixed(2)} ${y(value).toFixed(2)}`).join("L");
    const stroke = `style="stroke:var(${color})" stroke-dasharray="${dashes}"`;
    parts.push(`<path class="curve" d="M${line}" ${stroke}/>`,
      `<line class="curve" x1="${at}" x2="${at + 22}" y1="10" y2="10" ${stroke}/>`,
      `<text x="${at + 27}" y="14">${label}</text>`);
    at += 44 + 7 * label.length;
  }
  svg.innerHTML = parts.concat(numbers).join("");
}

function ticks(low, high, count) {
  const rough = (high - low) / count, unit = 10 ** Math.floor(Math.log10(rough));
  const step = unit * [1, 2, 5, 10].find((each) => each * unit >= rough), found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high * (1 + 1e-9); i++) {
    found.push(Number((i * step).toPrecision(12)));
  }
  return found;
}

build();
read();
update(false);
// the browser compiles what has run a few times: the first move of a slider shall not wait for it
setTimeout(() => {
  const ready = performance.now() + 500;
  for (let i = 0; i < 8 && result && performance.now() < ready; i++) predict({ ...chosen });
}, 50);
globalThis.explorer = { state: () => ({ parameters: chosen, ...result, command: result && command() }) };
