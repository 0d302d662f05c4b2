/* Gradient, statistics and rollouts of one seed; nothing of the size of rows x N is stored.

   Compiled when first used (fused.py), for REAL (float or double), N, K and T, so that a row of
   logits stays in registers. It takes V vectors of LANES numbers, M in all: the columns of W,
   (N, K, M) as columns[x][k][n], are padded with zeros.

   Rows are sorted by current state x and step t: order holds sequences, start where each (x, t)
   begins. State and attention are then the same for a whole group, and all that is left of a row
   are its T actions: a logit row is T columns added up, and its gradient goes back to them. */

#include <math.h>
#include <stdint.h>
#include <string.h>

typedef REAL real;
typedef real vec __attribute__((vector_size(32), aligned(sizeof(real)), may_alias));
typedef __typeof__((vec){0} < (vec){0}) bits; /* integers as wide as real */
enum { LANES = 32 / sizeof(real), V = (N + LANES - 1) / LANES, M = V * LANES };
enum { BLOCK = 16 }; /* rows worked on at a time: enough of them to overlap, few enough for L1 */

typedef struct {
    const uint16_t *actions, *states; /* (n, T), (n, T + 1) */
    uint32_t *order;                  /* (rows,), the sequence of each row */
    int64_t *start;                   /* (N T + 1,), where group (x, t) begins */
} rows;

/* Sort the rows of n sequences; start comes zeroed. */
void sort(const rows *r, int64_t n) {
    for (int64_t b = 0; b < n; b++)
        for (int64_t t = 0; t < T; t++) r->start[r->states[b * (T + 1) + t] * T + t + 1]++;
    for (int64_t g = 0; g < N * T; g++) r->start[g + 1] += r->start[g];
    for (int64_t b = 0; b < n; b++)
        for (int64_t t = 0; t < T; t++) r->order[r->start[r->states[b * (T + 1) + t] * T + t]++] = b;
    memmove(r->start + 1, r->start, N * T * sizeof *r->start); /* each had come to its end */
    r->start[0] = 0;
}

static real sum(vec x) {
    for (int half = LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++) x[i] += x[i + half];
    return x[0];
}

static void logits(vec y[V], const real *A, const real *columns, const uint16_t *a) {
    vec z[V] = {0};
    for (int64_t j = 0; j < T; j++) {
        const vec *w = (const vec *)(columns + a[j] * M);
        for (int v = 0; v < V; v++) z[v] += A[j] * w[v];
    }
    memcpy(y, z, sizeof z);
}

static int64_t argmax(const vec *logits) {
    const real *y = (const real *)logits;
    int64_t best = 0;
    for (int64_t n = 1; n < N; n++)
        if (y[n] > y[best]) best = n;
    return best;
}

static void subtract(vec *logits, real shift) {
    for (int64_t n = 0; n < N; n++) ((real *)logits)[n] -= shift; /* padding stays 0 */
}

/* exp of y <= LARGEST (or 0 where y < -LARGEST) to rounding: 2^k times a polynomial in
   x = y - k log 2, |x| <= log(2) / 2. Adding MAGIC leaves k in the lowest bits; log 2 is given in
   two parts, the first with so few bits that its product with k is exact. */
static vec exp_of(vec y) {
    enum { DOUBLE = sizeof(real) == 8, DEGREE = DOUBLE ? 13 : 7, MANTISSA = DOUBLE ? 52 : 23 };
    const real MAGIC = 1.5 * (DOUBLE ? 0x1p52 : 0x1p23), LARGEST = DOUBLE ? 707 : 87;
    const real UPPER = DOUBLE ? 0x1.62e42fefp-1 : 0x1.62ep-1;
    const real LOWER = DOUBLE ? 0x1.473de6af278edp-34 : (real)(0x1.62e42fefa39efp-1 - 0x1.62ep-1);
    vec shifted = y * (real)0x1.71547652b82fep0 + MAGIC, k = shifted - MAGIC;
    vec x = y - k * UPPER - k * LOWER, p = {0};
    double factorial = DOUBLE ? 6227020800. : 5040.; /* of DEGREE */
    for (int n = DEGREE; n; factorial /= n--) p = (real)(1 / factorial) + x * p;
    bits power = (bits)(1 + x * p) + ((bits)shifted << MANTISSA);
    return (vec)(power & (bits)(y >= -LARGEST));
}

/* by_A (T, T), by_columns (N, K, M): gradient of the loss; both come zeroed.
   shift: subtract the largest logit first. */
void gradient(const rows *r, const real *A, const real *columns, real scale, int shift, real *by_A,
              real *by_columns) {
    vec y[BLOCK][V], inside; /* inside: 1, or 0 for padding */
    real target[2 * M] = {0};
    target[M] = scale; /* read from M - n on: scale at n */
    for (int i = 0; i < LANES; i++) inside[i] = M - LANES + i < N;
    for (int64_t x = 0; x < N; x++, columns += K * M, by_columns += K * M)
        for (int64_t t = 0; t < T; t++) {
            int64_t first = r->start[x * T + t], last = r->start[x * T + t + 1];
            vec by[T] = {0}, weight[T]; /* weight: A_tj in every lane */
            for (int64_t j = 0; j < T; j++) weight[j] = A[t * T + j] - (vec){0};
            for (; first < last; first += BLOCK) {
                int64_t count = last - first < BLOCK ? last - first : BLOCK;
                const uint32_t *order = r->order + first;
                for (int64_t i = 0; i < count; i++) {
                    logits(y[i], A + t * T, columns, r->actions + order[i] * T);
                    if (shift) subtract(y[i], ((real *)y[i])[argmax(y[i])]);
                }
                for (int64_t i = 0; i < count; i++)
                    for (int v = 0; v < V; v++) y[i][v] = exp_of(y[i][v]);
                for (int64_t i = 0; i < count; i++) { /* y becomes dL/dy */
                    vec total = y[i][V - 1] *= inside;
                    for (int v = 0; v < V - 1; v++) total += y[i][v];
                    real norm = scale / sum(total);
                    const vec *right =
                        (const vec *)(target + M - r->states[order[i] * (T + 1) + t + 1]);
                    for (int v = 0; v < V; v++) y[i][v] = norm * y[i][v] - right[v];
                }
                for (int64_t i = 0; i < count; i++) {
                    const uint16_t *a = r->actions + order[i] * T;
                    for (int64_t j = 0; j < T; j++) {
                        const vec *w = (const vec *)(columns + a[j] * M);
                        vec *by_w = (vec *)(by_columns + a[j] * M);
                        for (int v = 0; v < V; v++) by[j] += y[i][v] * w[v];
                        for (int v = 0; v < V; v++) by_w[v] += weight[j] * y[i][v];
                    }
                }
            }
            for (int64_t j = 0; j < T; j++) by_A[t * T + j] += sum(by[j]);
        }
}

/* sums (6,): over rows, loss, hits, right logit, its square, the other logits, their squares. */
void statistics(const rows *r, const real *A, const real *columns, double *sums) {
    vec y[V];
    for (int64_t x = 0; x < N; x++, columns += K * M)
        for (int64_t t = 0; t < T; t++)
            for (int64_t i = r->start[x * T + t]; i < r->start[x * T + t + 1]; i++) {
                int64_t b = r->order[i], label = r->states[b * (T + 1) + t + 1];
                logits(y, A + t * T, columns, r->actions + b * T);
                int64_t best = argmax(y);
                const real *at = (const real *)y;
                double right = at[label], top = at[best], exps = 0, all = 0, squares = 0;
                for (int64_t n = 0; n < N; n++) {
                    all += at[n];
                    squares += (double)at[n] * at[n];
                }
                subtract(y, top);
                for (int v = 0; v < V; v++) y[v] = exp_of(y[v]);
                for (int64_t n = 0; n < N; n++) exps += at[n];
                sums[0] += log(exps) + top - right;
                sums[1] += best == label;
                sums[2] += right;
                sums[3] += right * right;
                sums[4] += all - right;
                sums[5] += squares - right * right;
            }
}

/* The number of the n sequences whose last state is generated right. */
int64_t rollout(const rows *r, const real *A, const real *columns, int64_t n) {
    int64_t right = 0;
    vec y[V];
    for (int64_t b = 0; b < n; b++) {
        const uint16_t *states = r->states + b * (T + 1);
        int64_t x = states[0];
        for (int64_t t = 0; t < T; t++) {
            logits(y, A + t * T, columns + x * K * M, r->actions + b * T);
            x = argmax(y);
        }
        right += x == states[T];
    }
    return right;
}
