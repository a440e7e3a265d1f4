/* The scTDC library as a program sees it, without a detector: functions and structures of the maker's public headers
 * scTDC.h and scTDC_types.h. Events are pushed in by sim_push_dld and sim_push_tdc and handed out by a thread of its own, as the
 * real library decodes its hardware's stream. One device, four pipes. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOT_READY (-11)
#define NO_DEVICE (-3)
#define NO_INI (-1)
#define NOT_SUPPORTED (-9000)
#define START_FAIL (-62)
enum { USER_CALLBACKS = 10, BUFFERED_DATA_CALLBACKS = 12, PIPES = 4, CHUNK = 8192 };
enum { MEAS_COMPLETE = 1, USER_INTERRUPT = 2, BUFFER_FULL = 3, HW_IDLE = 4 };

struct sc_TdcEvent { unsigned subdevice, channel; unsigned long long start_counter, time_tag, time_data, sign_counter; };
struct sc_DldEvent {
    unsigned long long start_counter, time_tag; unsigned subdevice, channel; unsigned long long sum;
    unsigned short dif1, dif2; unsigned master_rst_counter; unsigned short adc, signal1bit;
};
struct statistics_t {
    unsigned counts_read[4][16], counts_received[4][16], events_found[4], events_in_roi[4], events_received[4],
        counters[4][16], reserved[52];
};
struct sc_pipe_callbacks {
    void *priv;
    void (*start_of_measure)(void *); void (*end_of_measure)(void *); void (*millisecond_countup)(void *);
    void (*statistics)(void *, const struct statistics_t *);
    void (*tdc_event)(void *, const struct sc_TdcEvent *, size_t);
    void (*dld_event)(void *, const struct sc_DldEvent *, size_t);
};
struct sc_pipe_callback_params_t { struct sc_pipe_callbacks *callbacks; };
struct sc_pipe_buf_callback_args {
    unsigned long long event_index, *som_indices, *ms_indices; unsigned *subdevice, *channel;
    unsigned long long *start_counter; unsigned *time_tag, *dif1, *dif2; unsigned long long *time;
    unsigned *master_rst_counter; int *adc; unsigned short *signal1bit;
    unsigned som_indices_len, ms_indices_len, data_len; unsigned char reserved[12];
};
struct sc_pipe_buf_callbacks_params_t {
    void *priv; void (*data)(void *, const struct sc_pipe_buf_callback_args *); bool (*end_of_measurement)(void *);
    unsigned data_field_selection, max_buffered_data_len; int dld_events, version; unsigned char reserved[24];
};
struct sc_DeviceProperties1 {
    unsigned size_x, size_y; unsigned long long size_t_; double pixel_size_x, pixel_size_y, pixel_size_t;
};
struct sc_DeviceProperties2 { int tdc_channel_number; };
struct sc_DeviceProperties3 { size_t dld_event_size, tdc_event_size, user_callback_size; };

struct pipe {
    int kind; struct sc_pipe_callbacks user; struct sc_pipe_buf_callbacks_params_t buffered;
    unsigned held; unsigned long long index, *start, *time; unsigned *sub, *chan, *dif1, *dif2;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER, calling = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t woken = PTHREAD_COND_INITIALIZER;
static pthread_t decoder;
static int open_, quit, measuring, interrupted, overrun, measurements, refuses, lost_link, not_ready, silent, later_version;
static long exposure_ms;
static struct timespec began;
static struct pipe pipes[PIPES];
static void (*complete)(void *, int); static void *complete_owner;
static struct sc_DldEvent *dld; static struct sc_TdcEvent *tdc; /* what was measured and is not decoded yet */
static size_t room, dld_held, tdc_held, dld_head, tdc_head;
static unsigned dropped; /* events of this measurement that the hardware found and could not hand over */

static long elapsed_ms(const struct timespec *since) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - since->tv_sec) * 1000L + (now.tv_nsec - since->tv_nsec) / 1000000L;
}

/* -- handing out; without `lock`, with `calling` ------------------------------------------------------------------- */

static void hand_out_buffer(struct pipe *p) {
    struct sc_pipe_buf_callback_args args;
    memset(&args, 0, sizeof args);
    unsigned fields = p->buffered.data_field_selection;
    args.event_index = p->index; args.data_len = p->held;
    if (fields & 1) args.subdevice = p->sub;
    if (fields & 2) args.channel = p->chan;
    if (fields & 4) args.start_counter = p->start;
    if (fields & 0x10) args.dif1 = p->dif1;
    if (fields & 0x20) args.dif2 = p->dif2;
    if (fields & 0x40) args.time = p->time;
    if (p->held) p->buffered.data(p->buffered.priv, &args);
    p->index += p->held; p->held = 0;
}
static void gather(struct pipe *p, unsigned sub, unsigned chan, unsigned long long start, unsigned long long time,
                   unsigned dif1, unsigned dif2) {
    unsigned i = p->held++;
    p->sub[i] = sub; p->chan[i] = chan; p->start[i] = start; p->time[i] = time; p->dif1[i] = dif1; p->dif2[i] = dif2;
    if (p->held == p->buffered.max_buffered_data_len) hand_out_buffer(p);
}
static void hand_out(const struct sc_DldEvent *d, size_t nd, const struct sc_TdcEvent *t, size_t nt) {
    for (int i = 0; i < PIPES; i++) {
        struct pipe *p = pipes + i;
        if (p->kind == USER_CALLBACKS) {
            if (nd && p->user.dld_event) p->user.dld_event(p->user.priv, d, nd);
            if (nt && p->user.tdc_event) p->user.tdc_event(p->user.priv, t, nt);
        } else if (p->kind == BUFFERED_DATA_CALLBACKS && p->buffered.dld_events) {
            for (size_t k = 0; k < nd; k++)
                gather(p, d[k].subdevice, d[k].channel, d[k].start_counter, d[k].sum, d[k].dif1, d[k].dif2);
        } else if (p->kind == BUFFERED_DATA_CALLBACKS) {
            for (size_t k = 0; k < nt; k++)
                gather(p, t[k].subdevice, t[k].channel, t[k].start_counter, t[k].time_data, 0, 0);
        }
    }
}
static void millisecond(void) {
    for (int i = 0; i < PIPES; i++)
        if (pipes[i].kind == USER_CALLBACKS && pipes[i].user.millisecond_countup)
            pipes[i].user.millisecond_countup(pipes[i].user.priv);
}
static void end_of_measurement(unsigned missing) {
    struct statistics_t found;
    memset(&found, 0, sizeof found);
    found.events_in_roi[0] = found.counts_read[0][0] = missing; /* received: 0 */
    for (int i = 0; i < PIPES; i++) {
        struct pipe *p = pipes + i;
        if (p->kind == USER_CALLBACKS) {
            if (p->user.statistics) p->user.statistics(p->user.priv, &found);
            if (p->user.end_of_measure) p->user.end_of_measure(p->user.priv);
        } else if (p->kind == BUFFERED_DATA_CALLBACKS && p->buffered.end_of_measurement(p->buffered.priv)) {
            hand_out_buffer(p);
        }
    }
}

static void *decode(void *unused) {
    (void)unused;
    static struct sc_DldEvent d[CHUNK];
    static struct sc_TdcEvent t[CHUNK];
    long told_ms = 0;
    pthread_mutex_lock(&lock);
    while (!quit) {
        if (!measuring || (!dld_held && !tdc_held && !interrupted)) {
            struct timespec until;
            clock_gettime(CLOCK_REALTIME, &until);
            until.tv_nsec += 500000L;
            if (until.tv_nsec >= 1000000000L) { until.tv_sec++; until.tv_nsec -= 1000000000L; }
            pthread_cond_timedwait(&woken, &lock, &until);
        }
        if (!measuring) { told_ms = 0; continue; }
        size_t nd = dld_held < CHUNK ? dld_held : CHUNK, nt = tdc_held < CHUNK ? tdc_held : CHUNK;
        memcpy(d, dld + dld_head, nd * sizeof *d); dld_head += nd; dld_held -= nd;
        memcpy(t, tdc + tdc_head, nt * sizeof *t); tdc_head += nt; tdc_held -= nt;
        long now_ms = elapsed_ms(&began);
        int tick = now_ms > told_ms && !silent;
        int ends = (interrupted || overrun || now_ms >= exposure_ms) && !dld_held && !tdc_held;
        int reason = overrun ? BUFFER_FULL : interrupted ? USER_INTERRUPT : MEAS_COMPLETE;
        unsigned missing = dropped;
        told_ms = now_ms;
        pthread_mutex_unlock(&lock);
        pthread_mutex_lock(&calling);
        if (nd || nt) hand_out(d, nd, t, nt);
        if (tick) millisecond();
        if (ends) end_of_measurement(missing);
        pthread_mutex_unlock(&calling);
        pthread_mutex_lock(&lock);
        if (ends) {
            measuring = interrupted = overrun = 0; dropped = 0;
            void (*done)(void *, int) = complete; void *owner = complete_owner;
            pthread_mutex_unlock(&lock);
            if (done) { done(owner, HW_IDLE); done(owner, reason); }
            pthread_mutex_lock(&lock);
        }
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* -- for the simulation ------------------------------------------------------------------------------------------ */

void sim_reset(size_t capacity) {
    pthread_mutex_lock(&lock);
    free(dld); free(tdc);
    dld = malloc(capacity * sizeof *dld); tdc = malloc(capacity * sizeof *tdc);
    room = capacity; dld_held = tdc_held = dld_head = tdc_head = 0;
    refuses = lost_link = not_ready = silent = later_version = 0; dropped = 0; measurements = 0;
    pthread_mutex_unlock(&lock);
}
void sim_refuse(int on) { refuses = on; }
void sim_lost_link(int on) { lost_link = on; }
void sim_not_ready(int times) { not_ready = times; }
void sim_silent(int on) { silent = on; }
void sim_later_version(int on) { later_version = on; }
void sim_drop(unsigned events) { pthread_mutex_lock(&lock); dropped += events; pthread_mutex_unlock(&lock); }
void sim_overrun(void) { pthread_mutex_lock(&lock); overrun = 1; pthread_mutex_unlock(&lock); }
int sim_measurement(void) { return measuring && !interrupted ? measurements : 0; } /* its number from 1, or 0 */
int sim_waiting(void) { return (int)(dld_held + tdc_held); }

static int push(char *to, size_t *head, size_t *held, const void *events, size_t n, size_t bytes) {
    pthread_mutex_lock(&lock);
    int taken = -1;
    if (measuring && !interrupted) {
        size_t fits = n < room - *held ? n : room - *held;
        memmove(to, to + *head * bytes, *held * bytes); *head = 0;
        memcpy(to + *held * bytes, events, fits * bytes);
        *held += fits; dropped += (unsigned)(n - fits);
        taken = (int)fits;
        pthread_cond_signal(&woken);
    }
    pthread_mutex_unlock(&lock);
    return taken;
}
int sim_push_dld(const struct sc_DldEvent *events, size_t n) { return push((char *)dld, &dld_head, &dld_held, events, n, sizeof *events); }
int sim_push_tdc(const struct sc_TdcEvent *events, size_t n) { return push((char *)tdc, &tdc_head, &tdc_held, events, n, sizeof *events); }

/* -- the library ------------------------------------------------------------------------------------------------- */

void sc_get_err_msg(int code, char *message) {
    const char *text = code == NOT_READY ? "device is not ready" : code == NO_DEVICE ? "no device is connected"
        : code == NO_INI ? "cannot open the ini file" : code == START_FAIL ? "start of measurement failed: no start pulses"
        : code == -90 ? "connection to the device is lost" : code == NOT_SUPPORTED ? "not implemented" : "unknown error";
    strcpy(message, text);
}
void sc_tdc_config_get_library_version(unsigned version[3]) { version[0] = 1; version[1] = 3017; version[2] = 5; }
int sc_tdc_init_inifile(const char *path) {
    FILE *ini = fopen(path, "r");
    if (!ini) return NO_INI;
    fclose(ini);
    if (lost_link || open_) return NO_DEVICE;
    quit = measuring = interrupted = 0;
    memset(pipes, 0, sizeof pipes);
    if (pthread_create(&decoder, NULL, decode, NULL)) return -1000;
    open_ = 1;
    return 0;
}
int sc_tdc_deinit2(int dd) {
    if (dd != 0 || !open_) return NO_DEVICE;
    pthread_mutex_lock(&lock);
    quit = 1; complete = NULL;
    pthread_cond_signal(&woken);
    pthread_mutex_unlock(&lock);
    pthread_join(decoder, NULL);
    open_ = measuring = 0; dld_held = tdc_held = 0;
    return 0;
}
int sc_tdc_get_device_properties(int dd, int number, void *params) {
    if (dd != 0 || !open_) return NO_DEVICE;
    if (number == 1) {
        struct sc_DeviceProperties1 told = {2500, 2400, 1 << 20, 0.0333, 0.0333, 0.006858};
        memcpy(params, &told, sizeof told);
    } else if (number == 2) {
        ((struct sc_DeviceProperties2 *)params)->tdc_channel_number = 8;
    } else if (number == 3) {
        struct sc_DeviceProperties3 told = {sizeof(struct sc_DldEvent) + 8 * later_version, sizeof(struct sc_TdcEvent),
                                            sizeof(struct sc_pipe_callbacks)};
        memcpy(params, &told, sizeof told);
    } else return NOT_SUPPORTED;
    return 0;
}
int sc_tdc_get_binsize2(int dd, double *ns) {
    if (dd != 0 || !open_) return NO_DEVICE;
    *ns = 0.027432;
    return 0;
}
int sc_tdc_get_status2(int dd, int *status) {
    if (dd != 0 || !open_) return NO_DEVICE;
    if (lost_link) return -90;
    *status = !measuring;
    return 0;
}
int sc_tdc_set_complete_callback2(int dd, void *owner, void (*cb)(void *, int)) {
    if (dd != 0 || !open_) return NO_DEVICE;
    complete = cb; complete_owner = owner;
    return 0;
}
int sc_tdc_start_measure2(int dd, int ms) {
    if (dd != 0 || !open_) return NO_DEVICE;
    if (refuses) return START_FAIL;
    pthread_mutex_lock(&lock);
    int code = measuring || not_ready > 0 ? NOT_READY : 0;
    if (not_ready > 0) not_ready--;
    if (code == 0) {
        clock_gettime(CLOCK_MONOTONIC, &began);
        exposure_ms = ms; measuring = 1; interrupted = 0; measurements++;
    }
    pthread_mutex_unlock(&lock);
    if (code) return code;
    pthread_mutex_lock(&calling);
    for (int i = 0; i < PIPES; i++)
        if (pipes[i].kind == USER_CALLBACKS && pipes[i].user.start_of_measure)
            pipes[i].user.start_of_measure(pipes[i].user.priv);
    pthread_mutex_unlock(&calling);
    return 0;
}
int sc_tdc_interrupt2(int dd) {
    if (dd != 0 || !open_) return NO_DEVICE;
    pthread_mutex_lock(&lock);
    interrupted = measuring;
    pthread_cond_signal(&woken);
    pthread_mutex_unlock(&lock);
    return 0;
}
int sc_pipe_open2(int dd, int kind, const void *params) {
    if (dd != 0 || !open_) return NO_DEVICE;
    if (kind != USER_CALLBACKS && kind != BUFFERED_DATA_CALLBACKS) return NOT_SUPPORTED;
    for (int i = 0; i < PIPES; i++) {
        struct pipe *p = pipes + i;
        if (p->kind) continue;
        pthread_mutex_lock(&calling);
        memset(p, 0, sizeof *p);
        if (kind == USER_CALLBACKS) {
            p->user = *((const struct sc_pipe_callback_params_t *)params)->callbacks;
        } else {
            p->buffered = *(const struct sc_pipe_buf_callbacks_params_t *)params;
            size_t n = p->buffered.max_buffered_data_len;
            p->start = malloc(n * sizeof *p->start); p->time = malloc(n * sizeof *p->time);
            p->sub = malloc(n * sizeof *p->sub); p->chan = malloc(n * sizeof *p->chan);
            p->dif1 = malloc(n * sizeof *p->dif1); p->dif2 = malloc(n * sizeof *p->dif2);
        }
        p->kind = kind;
        pthread_mutex_unlock(&calling);
        return i;
    }
    return -1000;
}
int sc_pipe_close2(int dd, int pipe) {
    if (dd != 0 || !open_) return NO_DEVICE;
    if (pipe < 0 || pipe >= PIPES || !pipes[pipe].kind) return -1;
    pthread_mutex_lock(&calling); /* none of its callbacks is under way, and none follows */
    struct pipe *p = pipes + pipe;
    free(p->start); free(p->time); free(p->sub); free(p->chan); free(p->dif1); free(p->dif2);
    memset(p, 0, sizeof *p);
    pthread_mutex_unlock(&calling);
    return 0;
}
