/* Pulses in which there is something to choose: candidates.py, quad.py, choice.py, doubt.py and crowd.py in plain C. */

/* ---- candidates.py ---- */

INLINE bool share_signal(const Candidate *one, const Candidate *other) {
    for (int c = 0; c < CHANNELS; c++)
        if (one->chosen.channel[c] >= 0 && one->chosen.channel[c] == other->chosen.channel[c]) return true;
    return false;
}

INLINE int missing_of(const Candidate *one) {
    int missing = 0;
    for (int c = 0; c < CHANNELS; c++) missing |= (one->chosen.channel[c] < 0) << c;
    return missing;
}

/* Mask of the signals on a channel. */
INLINE uint64_t all_of(int filled) { return filled == 64 ? ~0ull : (1ull << filled) - 1; }

/* Leave only those signals in s->time that none of the taken candidates has, `from` being what there was. */
static void release_unused(Scratch *s, int taken, const double (*from)[MAX_SIGNALS], const int *filled) {
    for (int c = 0; c < CHANNELS; c++) {
        uint64_t free = all_of(filled[c]);
        int kept = 0;
        for (int i = 0; i < taken; i++) {
            int k = s->candidate[s->taken[i]].chosen.channel[c];
            if (k >= 0) free &= ~(1ull << k);
        }
        for (; free; free &= free - 1) s->time[c][kept++] = from[c][__builtin_ctzll(free)];
        s->filled[c] = kept;
    }
}

/* ---- quad.py ---- */

INLINE Candidate *add(Scratch *s, int n, double cost, double t, double x, double y) {
    Candidate *one = &s->candidate[n];
    one->cost = cost, one->t = t, one->x = x, one->y = y, one->chosen.all = ~0ull;
    return one;
}

static int collect_full(const Numbers *a, Scratch *s, bool *crowded) {
    int n = 0;
    double x, y;
    for (int m = 0; m < s->filled[0]; m++) {
        double t = s->time[0][m];
        int n_x = find_pairs(a, s, 0, t, a->sum_gate);
        if (n_x == 0) continue;
        int n_y = find_pairs(a, s, 1, t, a->sum_gate);
        if (n_x > MAX_PAIRS) *crowded = true, n_x = MAX_PAIRS;
        if (n_y > MAX_PAIRS) *crowded = true, n_y = MAX_PAIRS;
        for (int i = 0; i < n_x; i++) {
            const Pair *one = &s->pair[0][i];
            double r = one->r;
            for (int j = 0; j < n_y; j++) {
                const Pair *other = &s->pair[1][j];
                double p = other->r, chi2 = 3.0 * r * r + 3.0 * p * p - 4.0 * r * p;
                if (chi2 > a->full || !place(a, 0, 1, one->u, other->u, &x, &y)) continue;
                if (n == MAX_CANDIDATES) return *crowded = true, n;
                Candidate *new = add(s, n++, chi2 / (20.0 * a->sigma2), t, x, y);
                new->chosen.channel[0] = (int8_t)m;
                new->chosen.channel[1] = (int8_t)one->first, new->chosen.channel[2] = (int8_t)one->second;
                new->chosen.channel[3] = (int8_t)other->first, new->chosen.channel[4] = (int8_t)other->second;
            }
        }
    }
    return n;
}

static int collect_end_missing(const Numbers *a, Scratch *s, bool *crowded) {
    int n = 0;
    double x, y;
    for (int m = 0; m < s->filled[0]; m++) {
        double t_mcp = s->time[0][m];
        for (int whole = 0; whole < 2; whole++) {
            int layer = 1 - whole;
            if (s->filled[1 + 2 * layer] + s->filled[2 + 2 * layer] == 0) continue;
            int pairs = find_pairs(a, s, whole, t_mcp, a->end_gate);
            if (pairs > MAX_PAIRS) *crowded = true, pairs = MAX_PAIRS;
            for (int k = 0; k < pairs; k++) {
                const Pair *pair = &s->pair[whole][k];
                double t = t_mcp + pair->r / 3.0, agreement = pair->r * pair->r / (12.0 * a->sigma2);
                for (int end = 0; end < 2; end++) {
                    int channel = 1 + 2 * layer + end, missing = 2 + 2 * layer - end;
                    for (int i = 0; i < s->filled[channel]; i++) {
                        double after = s->time[channel][i] - t, d = d_of_end(a, layer, 1.0 - 2.0 * end, after);
                        if (!on_layer(a, layer, d) || !place(a, whole, layer, pair->u, u_of(a, layer, d), &x, &y)) continue;
                        double when = t - after + a->time_sum[layer] + walk_of(a, layer, d);
                        if (n == MAX_CANDIDATES) return *crowded = true, n;
                        double lost = in_shadow(a, s, missing, when) ? 0.0 : a->penalty;
                        Candidate *new = add(s, n++, agreement + lost, t_mcp, x, y);
                        new->chosen.channel[0] = (int8_t)m;
                        new->chosen.channel[1 + 2 * whole] = (int8_t)pair->first;
                        new->chosen.channel[2 + 2 * whole] = (int8_t)pair->second;
                        new->chosen.channel[channel] = (int8_t)i;
                    }
                }
            }
        }
    }
    return n;
}

static int collect_mcp_missing(const Numbers *a, Scratch *s, int n, bool *crowded) {
    double x, y;
    for (int i = 0; i < s->filled[1]; i++)
        for (int j = 0; j < s->filled[2]; j++) {
            double d_x = s->time[1][i] - s->time[2][j];
            if (!on_layer(a, 0, d_x)) continue;
            double twice_x = twice_mean(a, 0, s->time[1][i], s->time[2][j]);
            int pairs = find_pairs(a, s, 1, 0.5 * twice_x, a->mcp_gate);
            if (pairs > MAX_PAIRS) return *crowded = true, n;
            for (int k = 0; k < pairs; k++) {
                const Pair *pair = &s->pair[1][k];
                if (!place(a, 0, 1, u_of(a, 0, d_x), pair->u, &x, &y)) continue;
                double t = 0.5 * twice_x + 0.25 * pair->r;
                if (n == MAX_CANDIDATES) return *crowded = true, n;
                double lost = in_shadow(a, s, 0, t) ? 0.0 : a->penalty;
                Candidate *new = add(s, n++, pair->r * pair->r / (8.0 * a->sigma2) + lost, t, x, y);
                new->chosen.channel[1] = (int8_t)i, new->chosen.channel[2] = (int8_t)j;
                new->chosen.channel[3] = (int8_t)pair->first, new->chosen.channel[4] = (int8_t)pair->second;
            }
        }
    return n;
}

static int collect_quad(const Numbers *a, Scratch *s, int signals, bool *crowded) {
    if (signals == CHANNELS) return collect_full(a, s, crowded);
    int n = 0, channels = 0;
    for (int c = 0; c < CHANNELS; c++) channels += s->filled[c] > 0;
    if (channels < signals) return 0;
    if (a->with_end_missing) n = collect_end_missing(a, s, crowded);
    if (a->with_mcp_missing && !*crowded) n = collect_mcp_missing(a, s, n, crowded);
    return n;
}

/* ---- choice.py ---- */

static int best_first(Scratch *s, int n) {
    bool out[MAX_CANDIDATES];
    int taken = 0;
    memset(out, 0, (size_t)n);
    for (;;) {
        int best = -1;
        for (int k = 0; k < n; k++)
            if (!out[k] && (best < 0 || s->candidate[k].cost < s->candidate[best].cost)) best = k;
        if (best < 0) return taken;
        s->taken[taken++] = best;
        for (int k = 0; k < n; k++) out[k] |= share_signal(&s->candidate[best], &s->candidate[k]);
    }
}

static int search(Scratch *s, int n, double worth, int most, int taken) {
    const Candidate *candidate = s->candidate;
    double best = 0.0;
    int depth = 0;
    for (int k = 0; k < n; k++) {
        int at = k;
        for (; at > 0 && candidate[s->order[at - 1]].cost > candidate[k].cost; at--) s->order[at] = s->order[at - 1];
        s->order[at] = k;
        s->excludes[k] = 1ull << k;
    }
    for (int k = 0; k < n; k++)
        for (int j = k + 1; j < n; j++)
            if (share_signal(&candidate[s->order[k]], &candidate[s->order[j]]))
                s->excludes[k] |= 1ull << j, s->excludes[j] |= 1ull << k;
    for (int k = 0; k < taken; k++) best += worth - candidate[s->taken[k]].cost;
    s->open[0] = ~0ull >> (64 - n);
    s->gain[0] = 0.0;
    for (int step = 0; step < MAX_NODES; step++) {
        uint64_t left = s->open[depth];
        int k = left ? __builtin_ctzll(left) : 0, more = __builtin_popcountll(left);
        if (more > most - depth) more = most - depth;
        double gain = worth - candidate[s->order[k]].cost;
        if (more > 0 && s->gain[depth] + more * gain > best + EVEN) {
            s->open[depth] = left & ~(1ull << k);
            s->picked[depth] = s->order[k];
            s->open[depth + 1] = left & ~s->excludes[k];
            s->gain[depth + 1] = s->gain[depth] + worth - candidate[s->order[k]].cost;
            depth++;
            if (s->gain[depth] > best + EVEN) {
                best = s->gain[depth];
                taken = depth;
                memcpy(s->taken, s->picked, (size_t)depth * sizeof *s->taken);
            }
        } else if (depth == 0) break;
        else depth--;
    }
    return taken;
}

static int choose(Scratch *s, int n, double worth, int most) {
    s->taken[0] = 0;
    if (n == 1) return 1;
    int taken = best_first(s, n);
    return taken == n || (taken == 1 && most == 1) || n > MAX_SEARCHED ? taken : search(s, n, worth, most, taken);
}

/* ---- doubt.py ---- */

static bool is_elsewhere(const Numbers *a, const Candidate *one, const Candidate *other) {
    double dx = one->x - other->x, dy = one->y - other->y;
    return dx * dx + dy * dy > SAME_PLACE_UM * SAME_PLACE_UM || fabs(one->t - other->t) > a->same_time;
}

static bool fits(const Scratch *s, int taken, int k, int j) {
    for (int i = 0; i < taken; i++)
        if (i != k && share_signal(&s->candidate[s->taken[i]], &s->candidate[j])) return false;
    return true;
}

static int explain_further_end(const Numbers *a, Scratch *s, int layer, double t, double u) {
    double x, y;
    int other = 1 - layer;
    for (int end = 0; end < 2; end++)
        for (uint64_t rest = s->left[1 + 2 * other + end]; rest; rest &= rest - 1) {
            int k = __builtin_ctzll(rest);
            double d = d_of_end(a, other, 1.0 - 2.0 * end, s->time[1 + 2 * other + end][k] - t);
            if (!on_layer(a, other, d) || !place(a, layer, other, u, u_of(a, other, d), &x, &y)) continue;
            s->left[1 + 2 * other + end] &= ~(1ull << k);
            return 1;
        }
    return 0;
}

static int explain_end(const Numbers *a, Scratch *s, int layer, int i) {
    int first = 1 + 2 * layer, second = 2 + 2 * layer;
    for (uint64_t rest = s->left[second]; rest; rest &= rest - 1) {
        int j = __builtin_ctzll(rest);
        double d = s->time[first][i] - s->time[second][j];
        if (!on_layer(a, layer, d)) continue;
        double t = 0.5 * (s->time[first][i] + s->time[second][j] - a->time_sum[layer] - walk_of(a, layer, d));
        if (!in_shadow(a, s, 0, t)) continue;
        s->left[first] &= ~(1ull << i);
        s->left[second] &= ~(1ull << j);
        return 2 + explain_further_end(a, s, layer, t, u_of(a, layer, d));
    }
    return 0;
}

static int unexplained_with(const Numbers *a, Scratch *s, int taken, int k, int instead) {
    int left = 0;
    for (int c = 0; c < CHANNELS; c++) {
        s->left[c] = all_of(s->filled[c]);
        for (int i = 0; i < taken; i++) {
            int at = s->candidate[i == k ? instead : s->taken[i]].chosen.channel[c];
            if (at >= 0) s->left[c] &= ~(1ull << at);
        }
        left += __builtin_popcountll(s->left[c]);
    }
    for (int layer = 0; layer < LAYERS; layer++)
        for (int i = 0; i < s->filled[1 + 2 * layer]; i++)
            if (s->left[1 + 2 * layer] >> i & 1) left -= explain_end(a, s, layer, i);
    return left;
}

static int rival_of(const Numbers *a, Scratch *s, int n, int taken, int k, double *least) {
    int mine = s->taken[k], unexplained = -1, rival = -1;
    const Candidate *own = &s->candidate[mine];
    *least = INFINITY;
    for (int j = 0; j < n; j++) {
        const Candidate *other = &s->candidate[j];
        if (!(share_signal(own, other) && is_elsewhere(a, own, other) && fits(s, taken, k, j))) continue;
        if (unexplained < 0) unexplained = unexplained_with(a, s, taken, k, mine);
        int more = unexplained_with(a, s, taken, k, j) - unexplained;
        double worse = other->cost - own->cost + a->unexplained * more;
        if (worse < *least) rival = j, *least = worse;
    }
    return rival;
}

static bool settle(const Numbers *a, Scratch *s, int n, int taken, int k) {
    double worse;
    int rival = rival_of(a, s, n, taken, k, &worse);
    if (rival >= 0 && worse < -a->margin) {
        s->taken[k] = rival;
        rival = rival_of(a, s, n, taken, k, &worse);
    }
    return rival < 0 || worse >= a->margin;
}

static bool is_contested(const Numbers *a, const Scratch *s, int n, int taken) {
    const Candidate *own = &s->candidate[taken];
    for (int j = 0; j < n; j++) {
        const Candidate *other = &s->candidate[j];
        if (other->cost < own->cost + a->contest && j != taken && share_signal(own, other) && is_elsewhere(a, own, other))
            return true;
    }
    return false;
}

/* ---- crowd.py ---- */

static int64_t match_crowd(const Numbers *a, Scratch *s, const Columns *out, int64_t begin, int64_t n, uint32_t pulse,
                           bool *crowded) {
    int left = 0;
    for (int c = 0; c < CHANNELS; c++) {
        left += s->filled[c] = s->seen_filled[c];
        memcpy(s->time[c], s->seen[c], (size_t)s->filled[c] * sizeof(double));
    }
    for (int signals = left < CHANNELS ? left : CHANNELS; signals >= 4; signals = signals - 1 < left ? signals - 1 : left) {
        bool over = false;
        if (signals < CHANNELS)
            for (int c = 0; c < CHANNELS; c++)
                if (s->filled[c] > MAX_FREE) return *crowded = true, n;
        int candidates = collect_quad(a, s, signals, &over);
        *crowded |= over;
        if (candidates == 0) continue;
        int taken = choose(s, candidates, SIGNAL_WORTH * (signals - 2), left / signals);
        for (int k = 0; k < taken; k++) {
            if (signals <= DOUBTED && !settle(a, s, candidates, taken, k)) continue;
            const Candidate *hit = &s->candidate[s->taken[k]];
            int missing = missing_of(hit), quality = missing ? 1 + __builtin_ctz((unsigned)missing) : 0;
            if (missing == 0 && candidates > taken && is_contested(a, s, candidates, s->taken[k])) quality = CONTESTED;
            n = write_hit(a, s, out, begin, n, pulse, hit->t, hit->x, hit->y, quality);
            s->used += signals;
        }
        left -= taken * signals;
        if (left >= 4) release_unused(s, taken, s->time, s->filled);
    }
    return n;
}
