/* Gradient, statistics and rollouts of one seed; nothing of the size of rows x N is stored.

   Compiled when first used (fused.py), with REAL (float or double) and V, the vectors a row of
   logits takes, so that such a row stays in registers. M = V * LANES >= N: the columns of W,
   (N, K, M) as columns[x][k][n], are padded with zeros.

   Rows are sorted by current state x and step t: order holds sequences, start where each (x, t)
   begins. State and attention are then the same for a whole group, and all that is left of a row
   are its T actions: a logit row is T columns added up, and its gradient goes back to them. */

#include <math.h>
#include <stdint.h>
#include <string.h>

typedef REAL real;
typedef real vec __attribute__((vector_size(32), aligned(sizeof(real)), may_alias));
enum { LANES = 32 / sizeof(real), M = V * LANES };

typedef struct {
    int64_t N, K, T;
    const uint16_t *actions, *states; /* (n, T), (n, T + 1) */
    const uint32_t *order;
    const int64_t *start; /* (N T + 1,) */
} rows;

static real sum(vec x) {
    real total = 0;
    for (int i = 0; i < LANES; i++) total += x[i];
    return total;
}

static void logits(real *out, const real *A, const real *columns, const uint16_t *a, int64_t T) {
    vec y[V] = {0};
    for (int64_t j = 0; j < T; j++) {
        const vec *w = (const vec *)(columns + a[j] * M);
        for (int v = 0; v < V; v++) y[v] += A[j] * w[v];
    }
    memcpy(out, y, sizeof y);
}

static int64_t argmax(const real *y, int64_t N) {
    int64_t best = 0;
    for (int64_t n = 1; n < N; n++)
        if (y[n] > y[best]) best = n;
    return best;
}

static void subtract(real *y, int64_t N, real shift) {
    for (int64_t n = 0; n < N; n++) y[n] -= shift; /* padding stays 0: its exp must not overflow */
}

/* exp of y <= 80: 2^k times a polynomial in |x| <= log(2) / 2, to float's rounding */
static void exp_all(real *y, int64_t size) {
    for (int64_t i = 0; i < size; i++) {
        if (sizeof(real) == 8) {
            y[i] = exp(y[i]);
            continue;
        }
        float z = y[i] > -87 ? y[i] : -87;
        float k = floorf(z * 1.44269504f + 0.5f);
        float x = z - k * 0.693145752f - k * 1.42860677e-6f;
        float p = 1 / 24.f + x * (1 / 120.f + x * (1 / 720.f));
        union { int32_t bits; float value; } power = {((int32_t)k + 127) << 23};
        y[i] = (1 + x * (1 + x * (0.5f + x * (1 / 6.f + x * p)))) * power.value;
    }
}

/* by_A (T, T), by_columns (N, K, M): gradient of the loss; both come zeroed.
   shift: subtract the largest logit first. y: M a row of the largest group. h: (T, K, M). */
void gradient(const rows *r, const real *A, const real *columns, real scale, int shift, real *by_A,
              real *by_columns, real *y, real *h) {
    int64_t T = r->T, K = r->K;
    vec inside;
    for (int i = 0; i < LANES; i++) inside[i] = M - LANES + i < r->N;
    for (int64_t x = 0; x < r->N; x++, columns += K * M, by_columns += K * M) {
        for (int64_t t = 0; t < T; t++) {
            const uint32_t *order = r->order + r->start[x * T + t];
            int64_t count = r->start[x * T + t + 1] - r->start[x * T + t];
            for (int64_t i = 0; i < count; i++) {
                logits(y + i * M, A + t * T, columns, r->actions + order[i] * T, T);
                if (shift) subtract(y + i * M, r->N, y[i * M + argmax(y + i * M, r->N)]);
            }
            exp_all(y, count * M);
            for (int64_t i = 0; i < count; i++) { /* y becomes dL/dy */
                vec *g = (vec *)(y + i * M), total = {0};
                g[V - 1] *= inside;
                for (int v = 0; v < V; v++) total += g[v];
                real norm = scale / sum(total);
                for (int v = 0; v < V; v++) g[v] *= norm;
                y[i * M + r->states[order[i] * (T + 1) + t + 1]] -= scale;
            }
            memset(h, 0, T * K * M * sizeof(real));
            for (int64_t i = 0; i < count; i++) { /* h[j][k] sums it over the rows with a_j = k */
                const uint16_t *a = r->actions + order[i] * T;
                vec g[V];
                memcpy(g, y + i * M, sizeof g);
                for (int64_t j = 0; j < T; j++) {
                    vec *to = (vec *)(h + (j * K + a[j]) * M);
                    for (int v = 0; v < V; v++) to[v] += g[v];
                }
            }
            vec by_row[T];
            memset(by_row, 0, sizeof by_row);
            for (int64_t k = 0; k < K; k++) {
                vec *by = (vec *)(by_columns + k * M), d[V];
                const vec *w = (const vec *)(columns + k * M);
                memcpy(d, by, sizeof d);
                for (int64_t j = 0; j < T; j++) {
                    const vec *from = (const vec *)(h + (j * K + k) * M);
                    for (int v = 0; v < V; v++) {
                        by_row[j] += from[v] * w[v];
                        d[v] += A[t * T + j] * from[v];
                    }
                }
                memcpy(by, d, sizeof d);
            }
            for (int64_t j = 0; j < T; j++) by_A[t * T + j] += sum(by_row[j]);
        }
    }
}

/* sums (6,): over rows, loss, hits, right logit, its square, the other logits, their squares. */
void statistics(const rows *r, const real *A, const real *columns, double *sums) {
    int64_t T = r->T, N = r->N;
    real y[M];
    for (int64_t x = 0; x < N; x++, columns += r->K * M)
        for (int64_t t = 0; t < T; t++)
            for (int64_t i = r->start[x * T + t]; i < r->start[x * T + t + 1]; i++) {
                int64_t b = r->order[i], label = r->states[b * (T + 1) + t + 1];
                logits(y, A + t * T, columns, r->actions + b * T, T);
                int64_t best = argmax(y, N);
                double right = y[label], top = y[best], exps = 0, all = 0, squares = 0;
                for (int64_t n = 0; n < N; n++) {
                    all += y[n];
                    squares += (double)y[n] * y[n];
                }
                subtract(y, N, top);
                exp_all(y, M);
                for (int64_t n = 0; n < N; n++) exps += y[n];
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
    int64_t T = r->T, right = 0;
    real y[M];
    for (int64_t b = 0; b < n; b++) {
        const uint16_t *states = r->states + b * (T + 1);
        int64_t x = states[0];
        for (int64_t t = 0; t < T; t++) {
            logits(y, A + t * T, columns + x * r->K * M, r->actions + b * T, T);
            x = argmax(y, r->N);
        }
        right += x == states[T];
    }
    return right;
}
