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
enum { LANES = 32 / sizeof(real), V = (N + LANES - 1) / LANES, M = V * LANES };

typedef struct {
    const uint16_t *actions, *states; /* (n, T), (n, T + 1) */
    uint32_t *order;                  /* (rows,), the sequence of each row */
    int64_t *start;                   /* (N T + 1,), where group (x, t) begins */
    uint32_t *by_action; /* (rows T,), group by group and j by j: its rows, sorted by a_j … */
    uint32_t *end;       /* (N T, T, K), … and where those with a_j = k end */
} rows;

/* Sort the rows of n sequences; start and end come zeroed. Returns the size of the largest group. */
int64_t sort(const rows *r, int64_t n) {
    int64_t most = 0;
    for (int64_t b = 0; b < n; b++)
        for (int64_t t = 0; t < T; t++) r->start[r->states[b * (T + 1) + t] * T + t + 1]++;
    for (int64_t g = 0; g < N * T; g++) {
        if (r->start[g + 1] > most) most = r->start[g + 1];
        r->start[g + 1] += r->start[g];
    }
    for (int64_t b = 0; b < n; b++)
        for (int64_t t = 0; t < T; t++) r->order[r->start[r->states[b * (T + 1) + t] * T + t]++] = b;
    memmove(r->start + 1, r->start, N * T * sizeof *r->start); /* each had come to its end */
    r->start[0] = 0;
    for (int64_t g = 0; g < N * T; g++) {
        int64_t start = r->start[g], count = r->start[g + 1] - start;
        for (int64_t j = 0; j < T; j++) {
            uint32_t *end = r->end + (g * T + j) * K, *row = r->by_action + start * T + j * count;
            for (int64_t i = 0; i < count; i++) end[r->actions[r->order[start + i] * T + j]]++;
            for (int64_t k = 0, total = 0; k < K; k++) { /* where the rows of action k begin … */
                total += end[k];
                end[k] = total - end[k];
            }
            for (int64_t i = 0; i < count; i++) /* … and, once they are in, end */
                row[end[r->actions[r->order[start + i] * T + j]]++] = i;
        }
    }
    return most;
}

static real sum(vec x) {
    real total = 0;
    for (int i = 0; i < LANES; i++) total += x[i];
    return total;
}

static void logits(real *out, const real *A, const real *columns, const uint16_t *a) {
    vec y[V] = {0};
    for (int64_t j = 0; j < T; j++) {
        const vec *w = (const vec *)(columns + a[j] * M);
        for (int v = 0; v < V; v++) y[v] += A[j] * w[v];
    }
    memcpy(out, y, sizeof y);
}

static int64_t argmax(const real *y) {
    int64_t best = 0;
    for (int64_t n = 1; n < N; n++)
        if (y[n] > y[best]) best = n;
    return best;
}

static void subtract(real *y, real shift) {
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
   shift: subtract the largest logit first. y: M a row of the largest group. */
void gradient(const rows *r, const real *A, const real *columns, real scale, int shift, real *by_A,
              real *by_columns, real *y) {
    vec inside; /* 1, or 0 for padding */
    for (int i = 0; i < LANES; i++) inside[i] = M - LANES + i < N;
    for (int64_t x = 0; x < N; x++, columns += K * M, by_columns += K * M) {
        for (int64_t t = 0; t < T; t++) {
            int64_t start = r->start[x * T + t], count = r->start[x * T + t + 1] - start;
            const uint32_t *order = r->order + start;
            for (int64_t i = 0; i < count; i++) {
                logits(y + i * M, A + t * T, columns, r->actions + order[i] * T);
                if (shift) subtract(y + i * M, y[i * M + argmax(y + i * M)]);
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
            for (int64_t j = 0; j < T; j++) { /* g: sum of dL/dy over the rows with a_j = k */
                const uint32_t *row = r->by_action + start * T + j * count;
                const uint32_t *end = r->end + ((x * T + t) * T + j) * K;
                vec by_weight = {0};
                for (int64_t k = 0, i = 0; k < K; k++) {
                    const vec *w = (const vec *)(columns + k * M);
                    vec *by = (vec *)(by_columns + k * M), g[V] = {0};
                    for (; i < end[k]; i++)
                        for (int v = 0; v < V; v++) g[v] += ((vec *)(y + row[i] * M))[v];
                    for (int v = 0; v < V; v++) {
                        by_weight += g[v] * w[v];
                        by[v] += A[t * T + j] * g[v];
                    }
                }
                by_A[t * T + j] += sum(by_weight);
            }
        }
    }
}

/* sums (6,): over rows, loss, hits, right logit, its square, the other logits, their squares. */
void statistics(const rows *r, const real *A, const real *columns, double *sums) {
    real y[M];
    for (int64_t x = 0; x < N; x++, columns += K * M)
        for (int64_t t = 0; t < T; t++)
            for (int64_t i = r->start[x * T + t]; i < r->start[x * T + t + 1]; i++) {
                int64_t b = r->order[i], label = r->states[b * (T + 1) + t + 1];
                logits(y, A + t * T, columns, r->actions + b * T);
                int64_t best = argmax(y);
                double right = y[label], top = y[best], exps = 0, all = 0, squares = 0;
                for (int64_t n = 0; n < N; n++) {
                    all += y[n];
                    squares += (double)y[n] * y[n];
                }
                subtract(y, top);
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
    int64_t right = 0;
    real y[M];
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
