/* The matching of a quad anode in plain C: the yardstick of the benchmark, not a part of the product.

   One function per kernel of daemon/evapd/matching, with the same names and the same float64 arithmetic in the same
   order (compile with -ffp-contract=off), so that the hits are the same bytes. Methods that are off by default (hits of
   three signals) are left out. `numbers.h` is written by the benchmark from the layout of the kernels' record.

   What is quick here: the length of a run of words is known before anything else is done with it; words that lie too
   far apart to share an ion are matched apart, as in kernel.py; signals are 64-bit masks, so that a used one costs one
   operation; candidates that share no signal need no choice; what cannot give a hit any more is not looked at. */

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "numbers.h"

enum { CHANNELS = 5, LAYERS = 2, QUAD_MASK = 31, QUALITIES = 256, DOUBTED = 4, CONTESTED = 6 };
enum { MAX_WORDS = 8192, MAX_SIGNALS = 64, MAX_PAIRS = 32, MAX_CANDIDATES = 512, MAX_SEARCHED = 64, MAX_NODES = 2000, MAX_FREE = 16, FEW = 16 };
#define SIGNAL_WORTH 18.0
#define EVEN 1e-9
#define SAME_PLACE_UM 300.0
#define INLINE static inline __attribute__((always_inline))

typedef struct { uint32_t *pulse; int32_t *tof_ps, *x_um, *y_um; uint8_t *quality, *multiplicity; } Columns;
typedef struct { int first, second; double r, u; } Pair;
typedef union { int8_t channel[8]; uint64_t all; } Signals; /* index of the signal on each channel, -1 without */
typedef struct { double cost, t, x, y; Signals chosen; } Candidate;

typedef struct {
    int64_t hits[QUALITIES], used;
    double time[CHANNELS][MAX_SIGNALS], seen[CHANNELS][MAX_SIGNALS];
    int filled[CHANNELS], seen_filled[CHANNELS];
    Pair pair[LAYERS][MAX_PAIRS + 1];
    Candidate candidate[MAX_CANDIDATES];
    int taken[MAX_CANDIDATES], order[MAX_SEARCHED], picked[MAX_SEARCHED + 1];
    uint64_t left[CHANNELS], excludes[MAX_SEARCHED], open[MAX_SEARCHED + 1];
    double gain[MAX_SEARCHED + 1];
} Scratch;

int64_t scratch_size(void) { return sizeof(Scratch); }
int64_t numbers_size(void) { return sizeof(Numbers); }

/* ---- sound.py ---- */

/* Pulses of a block span less than 2^32, so a step back shows in the upper half of the difference. */
int all_sound(const uint64_t *pulse, const uint8_t *channel, const int32_t *time, int64_t n, uint64_t low, uint64_t high,
              int channels, int32_t limit) {
    uint32_t bad = 0;
    uint64_t steps = 0;
    if (n == 0) return 1;
    for (int64_t i = 0; i < n; i++) bad |= (channel[i] >= channels) | (time[i] > limit) | (time[i] < -limit);
    for (int64_t i = 1; i < n; i++) {
        uint64_t step = pulse[i] - pulse[i - 1];
        steps |= step;
        bad |= ((uint32_t)step == 0) & (time[i] < time[i - 1]);
    }
    return !bad && steps >> 32 == 0 && pulse[0] >= low && pulse[n - 1] <= high;
}

/* ---- geometry.py ---- */

INLINE double round_to_int(double value) {
    double v = value + 0.5;
    int64_t i = (int64_t)v;
    return (double)(i - ((double)i > v));
}

INLINE double walk_of(const Numbers *a, int layer, double d) {
    if (!a->with_walk) return 0.0;
    double at = (d - a->d_low[layer]) * a->walk_per_d[layer];
    if (!(at > 0.0)) return a->walk[layer][0];
    if (at >= WALK_POINTS - 1) return a->walk[layer][WALK_POINTS - 1];
    int k = (int)at;
    return a->walk[layer][k] + (at - k) * (a->walk[layer][k + 1] - a->walk[layer][k]);
}

INLINE double d_of_end(const Numbers *a, int layer, double sign, double after) {
    double twice = 2.0 * after - a->time_sum[layer], d = sign * twice;
    if (a->with_walk) {
        d = sign * (twice - walk_of(a, layer, d));
        d = sign * (twice - walk_of(a, layer, d));
    }
    return d;
}

INLINE bool place(const Numbers *a, int one, int other, double u_one, double u_other, double *x, double *y) {
    const double *p = a->place[one][other];
    *x = round_to_int(p[0] * u_one + p[1] * u_other - a->centre_x);
    *y = round_to_int(p[2] * u_one + p[3] * u_other - a->centre_y);
    return *x * *x + *y * *y <= a->radius2;
}

INLINE double u_of(const Numbers *a, int layer, double d) { return a->u_slope[layer] * d + a->u_zero[layer]; }
INLINE bool on_layer(const Numbers *a, int layer, double d) { return a->d_low[layer] <= d && d <= a->d_high[layer]; }

/* Look at all pairs: each is written down, and the next one overwrites it if it does not fit. */
INLINE int find_among_few(const Numbers *a, Scratch *s, int layer, double t, double gate) {
    const double *first = s->time[1 + 2 * layer], *second = s->time[2 + 2 * layer];
    double twice = 2.0 * t + a->time_sum[layer];
    int n_first = s->filled[1 + 2 * layer], n_second = s->filled[2 + 2 * layer], n = 0;
    for (int i = 0; i < n_first; i++)
        for (int j = 0; j < n_second; j++) {
            double d = first[i] - second[j], r = first[i] + second[j] - twice - walk_of(a, layer, d);
            s->pair[layer][n] = (Pair){i, j, r, u_of(a, layer, d)};
            n += (fabs(r) <= gate) & (d >= a->d_low[layer]) & (d <= a->d_high[layer]);
        }
    return n;
}

/* The first ends ascend, so the second ends that fit descend: one pass over both. */
static int find_among_many(const Numbers *a, Scratch *s, int layer, double t, double gate) {
    const double *first = s->time[1 + 2 * layer], *second = s->time[2 + 2 * layer];
    double twice = 2.0 * t + a->time_sum[layer], wide = gate + a->walk_most[layer];
    int high = s->filled[2 + 2 * layer] - 1, n = 0;
    for (int i = 0; i < s->filled[1 + 2 * layer]; i++) {
        double one = first[i];
        while (high >= 0 && one + second[high] - twice > wide) high--;
        for (int j = high; j >= 0 && one + second[j] - twice >= -wide; j--) {
            double d = one - second[j], r = one + second[j] - twice - walk_of(a, layer, d);
            if (!(fabs(r) <= gate && on_layer(a, layer, d))) continue;
            if (n == MAX_PAIRS) return n + 1;
            s->pair[layer][n++] = (Pair){i, j, r, u_of(a, layer, d)};
        }
    }
    return n;
}

static int find_pairs(const Numbers *a, Scratch *s, int layer, double t, double gate) {
    if (s->filled[1 + 2 * layer] * s->filled[2 + 2 * layer] <= FEW) return find_among_few(a, s, layer, t, gate);
    return find_among_many(a, s, layer, t, gate);
}

/* ---- shadow.py ---- */

INLINE bool in_shadow(const Numbers *a, const Scratch *s, int channel, double t) {
    for (int k = 0; k < s->seen_filled[channel]; k++) {
        double gap = t - s->seen[channel][k];
        if (-a->shadow_margin < gap && gap < a->dead + a->shadow_margin) return true;
    }
    return false;
}

/* ---- output.py ---- */

INLINE int32_t tof_of(const Numbers *a, double t) { return (int32_t)round_to_int(t * a->ps_num / a->ps_den); }

INLINE int64_t write_lone(const Numbers *a, Scratch *s, const Columns *out, int64_t n, uint32_t pulse, double t, double x,
                          double y, int quality) {
    out->pulse[n] = pulse;
    out->tof_ps[n] = tof_of(a, t);
    out->x_um[n] = (int32_t)x;
    out->y_um[n] = (int32_t)y;
    out->quality[n] = (uint8_t)quality;
    out->multiplicity[n] = 1;
    s->hits[quality]++;
    return n + 1;
}

static int64_t write_hit(const Numbers *a, Scratch *s, const Columns *out, int64_t begin, int64_t n, uint32_t pulse,
                         double t, double x, double y, int quality) {
    int32_t tof = tof_of(a, t);
    int64_t at = n;
    for (; at > begin && out->tof_ps[at - 1] > tof; at--) {
        out->tof_ps[at] = out->tof_ps[at - 1];
        out->x_um[at] = out->x_um[at - 1];
        out->y_um[at] = out->y_um[at - 1];
        out->quality[at] = out->quality[at - 1];
    }
    out->pulse[n] = pulse;
    out->tof_ps[at] = tof;
    out->x_um[at] = (int32_t)x;
    out->y_um[at] = (int32_t)y;
    out->quality[at] = (uint8_t)quality;
    out->multiplicity[n] = 1;
    s->hits[quality]++;
    return n + 1;
}

/* ---- lone.py ---- */

INLINE double twice_mean(const Numbers *a, int layer, double one, double other) {
    return one + other - a->time_sum[layer] - walk_of(a, layer, one - other);
}

INLINE int64_t match_five(const Numbers *a, Scratch *s, const Columns *out, int64_t n, uint32_t pulse, const int32_t *one) {
    int64_t m = one[0], x_1 = one[1], x_2 = one[2], y_1 = one[3], y_2 = one[4];
    double d_x = (double)(x_1 - x_2), d_y = (double)(y_1 - y_2), x, y;
    double r = (double)(x_1 + x_2 - 2 * m) - a->time_sum[0] - walk_of(a, 0, d_x);
    double p = (double)(y_1 + y_2 - 2 * m) - a->time_sum[1] - walk_of(a, 1, d_y);
    if (3.0 * r * r + 3.0 * p * p - 4.0 * r * p > a->full) return n;
    if (!place(a, 0, 1, u_of(a, 0, d_x), u_of(a, 1, d_y), &x, &y)) return n;
    s->used += 5;
    return write_lone(a, s, out, n, pulse, (double)m, x, y, 0);
}

INLINE int64_t match_four(const Numbers *a, Scratch *s, const Columns *out, int64_t n, uint32_t pulse, const int32_t *one,
                          int mask) {
    double t, d_x, d_y, x, y;
    bool agree;
    if (mask & 1) {
        int whole = (mask & 6) != 6, layer = 1 - whole, end = mask >> (1 + 2 * layer) & 1 ? 0 : 1;
        double one_w = one[1 + 2 * whole], other_w = one[2 + 2 * whole], d = one_w - other_w, r, other;
        t = one[0];
        r = twice_mean(a, whole, one_w, other_w) - 2.0 * t;
        other = d_of_end(a, layer, 1.0 - 2.0 * end, one[1 + 2 * layer + end] - (t + r / 3.0));
        agree = a->with_end_missing && fabs(r) <= a->end_gate && on_layer(a, layer, other);
        d_x = whole == 0 ? d : other;
        d_y = whole == 0 ? other : d;
    } else {
        double twice_x = twice_mean(a, 0, one[1], one[2]), r = twice_mean(a, 1, one[3], one[4]) - twice_x;
        agree = a->with_mcp_missing && fabs(r) <= a->mcp_gate;
        t = 0.5 * twice_x + 0.25 * r;
        d_x = (double)one[1] - one[2];
        d_y = (double)one[3] - one[4];
    }
    if (!(place(a, 0, 1, u_of(a, 0, d_x), u_of(a, 1, d_y), &x, &y) && agree)) return n;
    s->used += 4;
    return write_lone(a, s, out, n, pulse, t, x, y, 1 + __builtin_ctz(QUAD_MASK - mask));
}

#include "matching_crowd.h"

/* ---- kernel.py ---- */

INLINE bool sort_by_channel(const Numbers *a, Scratch *s, const uint8_t *channel, const int32_t *time, int64_t words) {
    bool crowded = false;
    for (int c = 0; c < CHANNELS; c++) s->seen_filled[c] = 0;
    for (int64_t k = 0; k < words; k++) {
        int c = channel[k], at = s->seen_filled[c];
        if (at > 0 && time[k] - s->seen[c][at - 1] < a->too_soon) continue;
        if (at == MAX_SIGNALS) crowded = true;
        else s->seen[c][at] = time[k], s->seen_filled[c] = at + 1;
    }
    return crowded;
}

/* A pulse with a word on each channel, or on all but one. */
INLINE int64_t match_lone(const Numbers *a, Scratch *s, const Columns *out, int64_t n, uint32_t pulse,
                          const uint8_t *channel, const int32_t *time, int words) {
    int32_t one[8] = {0};
    int mask = 0;
    for (int k = 0; k < words; k++) one[channel[k]] = time[k], mask |= 1 << channel[k];
    if (words == 5) return mask == QUAD_MASK ? match_five(a, s, out, n, pulse, one) : n;
    int missing = QUAD_MASK & ~mask;
    return missing & (missing - 1) ? n : match_four(a, s, out, n, pulse, one, mask);
}

/* Number of hits in `out`, which had `n`; -1 for methods that are not written in C. */
int64_t match_words(const Numbers *a, Scratch *s, const Columns *columns, int64_t n, uint64_t first_pulse,
                    const uint64_t *pulse, const uint8_t *channel, const int32_t *time, int64_t words, int64_t *saturated) {
    const Columns held = *columns, *out = &held;
    const int64_t reach = (int64_t)a->reach;
    int64_t i = 0;
    if (a->fewest != 4) return -1;
    while (i < words) {
        const uint64_t this = pulse[i];
        const uint32_t offset = (uint32_t)(this - first_pulse);
        const int64_t begin_of_pulse = n;
        int64_t end = i + 1;
        bool over = false;
        while (end < words && pulse[end] == this) end++;
        const int64_t end_of_pulse = end;
        if (end - i > MAX_WORDS) end = i + MAX_WORDS, over = true;
        while (end - i >= 4) {
            int64_t j = end, begin = n;
            if ((int64_t)time[end - 1] - time[i] > reach)
                for (j = i + 1; j < end && (int64_t)time[j] - time[j - 1] <= reach;) j++;
            if (j - i == 5) n = match_lone(a, s, out, n, offset, channel + i, time + i, 5);
            else if (j - i == 4) n = match_lone(a, s, out, n, offset, channel + i, time + i, 4);
            if (n == begin && j - i >= 4) {
                over |= sort_by_channel(a, s, channel + i, time + i, j - i);
                n = match_crowd(a, s, out, begin, n, offset, &over);
            }
            i = j;
        }
        if (n > begin_of_pulse + 1)
            for (int64_t k = begin_of_pulse; k < n; k++)
                out->multiplicity[k] = (uint8_t)(n - begin_of_pulse < 255 ? n - begin_of_pulse : 255);
        *saturated += over;
        i = end_of_pulse;
    }
    return n;
}
