// Special functions in double precision, named as in SciPy.
const expit = (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));
const log_expit = (x) => (x >= 0 ? -Math.log1p(Math.exp(-x)) : x - Math.log1p(Math.exp(x)));
const logaddexp = (x, y) => Math.max(x, y) + Math.log1p(Math.exp(-Math.abs(x - y)));
const rint = (x) => {
  const low = Math.floor(x);
  if (x - low !== 0.5) return Math.round(x);
  return low % 2 === 0 ? low : low + 1; // halves to the even one
};

const HALF_LOG_2PI = 0.5 * Math.log(2 * Math.PI);

// Cody's rational approximations (Mathematics of Computation 23, 1969) to erf and exp(x^2) erfc(x).
const ERF = [
  [0.185777706184603153, 3.1611237438705656, 113.864154151050156, 377.485237685302021,
    3209.37758913846947],
  [1, 23.6012909523441209, 244.024637934444173, 1282.61652607737228, 2844.23683343917062],
];
const ERFCX = [
  [2.15311535474403846e-8, 0.564188496988670089, 8.88314979438837594, 66.1191906371416295,
    298.635138197400131, 881.95222124176909, 1712.04761263407058, 2051.07837782607147,
    1230.33935479799725],
  [1, 15.7449261107098347, 117.693950891312499, 537.181101862009858, 1621.38957456669019,
    3290.79923573345963, 4362.61909014324716, 3439.36767414372164, 1230.33935480374942],
];
const FAR = [
  [0.0163153871373020978, 0.305326634961232344, 0.360344899949804439, 0.125781726111229246,
    0.0160837851487422766, 6.58749161529837803e-4],
  [1, 2.56852019228982242, 1.87295284992346725, 0.527905102951428412, 0.0605183413124413191,
    0.00233520497626869185],
];

function ratio([above, below], x) {
  let up = above[0], down = below[0];
  for (let i = 1; i < above.length; i++) {
    up = up * x + above[i];
    down = down * x + below[i];
  }
  return up / down;
}

function erfcx(x) { // x > 0.46875
  if (x <= 4) return ratio(ERFCX, x);
  const y = 1 / (x * x);
  return (1 / Math.sqrt(Math.PI) - y * ratio(FAR, y)) / x;
}

const log_ndtr = (x) => {
  const z = Math.abs(x) * Math.SQRT1_2;
  if (z <= 0.46875) return Math.log(0.5 * (1 + Math.sign(x) * z * ratio(ERF, z * z)));
  if (x < 0) return Math.log(0.5 * erfcx(z)) - z * z;
  return Math.log1p(-0.5 * erfcx(z) * Math.exp(-z * z));
};
