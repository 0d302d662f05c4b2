// The page: sliders in, curves out. The address after # carries the parameters.
const CONTROLS = [ // name, label, slider from, to, step, logarithmic
  ["N", "N, states", 3, 100, 1, false],
  ["K", "K, permutations", 2, 100, 1, false],
  ["T", "T, actions per sequence", 3, 50, 1, false],
  ["d_head", "d_head, of query and key", 2, 256, 2, false],
  ["rope_theta", "rope_theta, RoPE base", Math.log10(1.5), 5, 0.01, true],
  ["lr", "lr, learning rate", -1, 2, 0.01, true],
];
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
let chosen = { ...START }, result = null, tied = START.K === START.N;

function build() {
  for (const [name, label, low, high, step] of CONTROLS) {
    find("controls").insertAdjacentHTML("beforeend", `<div class="control">
      <label for="${name}">${label}</label>
      <input type="number" id="${name}" step="any" inputmode="decimal">
      <input type="range" id="${name}-slider" min="${low}" max="${high}" step="${step}"
        aria-label="${label}"></div>` + (name !== "K" ? "" :
      `<label class="check"><input type="checkbox" id="tied"> K = N</label>`));
  }
  find("controls").insertAdjacentHTML("beforeend", `<div class="control">
    <label for="closure">closure of the attention gradient</label>
    <select id="closure"><option>linear</option><option>quadratic</option></select></div>`);
  for (const [name, , , , , log] of CONTROLS) {
    const slider = find(`${name}-slider`);
    slider.addEventListener("input", () =>
      change(name, log ? Number(short(10 ** slider.valueAsNumber)) : slider.valueAsNumber));
    find(name).addEventListener("input", () => change(name, find(name).valueAsNumber));
  }
  find("closure").addEventListener("change", () => change("closure", find("closure").value));
  find("tied").addEventListener("change", () => {
    tied = find("tied").checked;
    change("K", tied ? chosen.N : chosen.K);
  });
  find("command").addEventListener("click", () => copy(command(), "The command"));
  find("link").addEventListener("click", () => copy(location.href, "The link"));
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
  for (const [name, text] of given) {
    if (name === "closure") chosen.closure = text;
    else if (name in START) chosen[name] = text.trim() === "" ? NaN : Number(text);
  }
  if (given.has("N") && !given.has("K")) chosen.K = chosen.N;
  tied = chosen.K === chosen.N;
}

function update(renew = true) {
  const began = performance.now();
  for (const [name, , , , , log] of CONTROLS) {
    const value = chosen[name], known = Number.isFinite(value), slider = find(`${name}-slider`);
    if (document.activeElement !== find(name)) find(name).value = known ? value : "";
    if (document.activeElement !== slider && known) {
      slider.value = log ? Math.log10(Math.max(value, 1e-9)) : value;
    }
    slider.setAttribute("aria-valuetext", String(chosen[name]));
  }
  find("closure").value = chosen.closure;
  find("tied").checked = tied;
  find("told").textContent = "";
  let wrong = mistake(chosen);
  if (!wrong) {
    try { result = predict(chosen); } catch (error) { wrong = error.message; }
  }
  if (wrong) result = null;
  find("mistake").hidden = !wrong;
  find("mistake").textContent = wrong;
  find("shown").hidden = find("command").disabled = find("link").disabled = Boolean(wrong);
  find("line").textContent = wrong ? "" : command();
  if (!wrong) draw();
  if (renew) history.replaceState(null, "", "#" + address());
  document.documentElement.dataset.ms = performance.now() - began;
}

function address() {
  const { N, K, T, d_head, rope_theta, lr, closure } = chosen;
  return new URLSearchParams({ N, K, T, d_head, rope_theta, lr, closure }).toString();
}

function command() {
  const p = chosen;
  return `python -m meanfield.predict --N ${p.N} --T ${p.T} --K ${p.K} --d-head ${p.d_head} ` +
    `--rope-theta ${p.rope_theta} --lr ${p.lr} --closure ${p.closure} --epochs ${result.epochs}`;
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
  find("phases").innerHTML = Object.entries(PHASES).map(([name, label], i) => {
    const epoch = result.events[name];
    const told = epoch === undefined ? "not yet" : `epoch ${epoch.toFixed(1)}`;
    return `<tr><td>${i + 1}</td><td>${label}</td><td class="number">${told}</td></tr>`;
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
  find("values").textContent = `Epoch ${curve.epoch[i].toFixed(1)}: ${told.join(", ")}`;
}

function plot(svg, series, unit) {
  const width = svg.clientWidth || 600, height = svg.clientHeight || 240;
  const left = LEFT, right = width - RIGHT, top = 22, bottom = height - 34, last = result.epochs;
  const values = series.flatMap(([name]) => result.curve[name]);
  const most = unit ? 1 : Math.max(...values) * 1.05, least = Math.min(0, ...values);
  const x = (epoch) => left + ((right - left) * epoch) / last;
  const y = (value) => bottom - ((bottom - top) * (value - least)) / (most - least);
  const parts = [], numbers = [];
  for (const value of ticks(least, most, 5)) {
    parts.push(`<line class="grid" x1="${left}" x2="${right}" y1="${y(value)}" y2="${y(value)}"/>`,
      `<text x="${left - 6}" y="${y(value) + 4}" text-anchor="end">${value}</text>`);
  }
  for (const epoch of ticks(0, last, Math.max(3, Math.floor(width / 110)))) {
    parts.push(`<text x="${x(epoch)}" y="${bottom + 15}" text-anchor="middle">${epoch}</text>`);
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
setTimeout(() => { for (let i = 0; i < 8 && result; i++) predict({ ...chosen }); }, 50);
globalThis.explorer = { state: () => ({ parameters: chosen, ...result, command: result && command() }) };
