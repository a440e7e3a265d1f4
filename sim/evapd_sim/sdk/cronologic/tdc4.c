/* The library of TimeTagger4 and xTDC4 as a program sees it, without a board: structures and functions of the maker's public headers
 * TDC4_interface.h, TimeTagger4_interface.h, xTDC4_interface.h and crono_interface.h. Packets are pushed in by sim_push. */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { OK = 0, DEVICE_NOT_FOUND = 2, WRONG_STATE = 4, INVALID_DEVICE = 5, INVALID_CONFIG = 9, SYNCHRONIZATION_FAILED = 13 };
enum { READ_OK, READ_NO_DATA, READ_INTERNAL_ERROR, READ_TIMEOUT, READ_WRONG_STATE, READ_INVALID_ARGUMENTS };
enum { CREATED, INITIALIZED, CONFIGURED, CAPTURING };
#define FLAG_START_MISSED 4
#define FLAG_HOST_BUFFER_FULL 32

typedef uint8_t crono_bool_t;
typedef struct { uint8_t channel, card, type, flags; uint32_t length; int64_t timestamp; uint64_t data[1]; } crono_packet;
typedef struct {
    int version, card_index, board_id; int64_t buffer_size[8]; int buffer_type; uint64_t buffer_address;
    int variant, device_type, dma_read_delay, use_ext_clock, rclk_sel;
} tdc4_init_parameters;
typedef struct {
    int size, version, board_id, driver_revision, driver_build_revision, firmware_revision, board_revision,
        board_configuration, subversion_revision, chip_id, board_serial;
    unsigned flash_serial_low, flash_serial_high; int flash_valid; char calibration_date[20], bitstream_date[20];
    double delay_bin_size, auto_trigger_ref_clock; uint32_t rollover_period;
} tdc4_static_info;
typedef struct {
    int size, version; double binsize; int board_id, channels, channel_mask; int64_t total_buffer; double packet_binsize;
} tdc4_param_info;
typedef struct { crono_bool_t falling, rising; } tdc4_trigger;
typedef struct {
    crono_bool_t enable, negate, retrigger, extend, enable_lemo_output; uint32_t start, stop; int sources;
} tdc4_tiger_block;
typedef struct { crono_bool_t enabled, rising, cc_enable, cc_same_edge, ths788_disable; uint32_t start, stop; } tdc4_channel;
typedef struct { crono_bool_t enabled; uint32_t start, stop; } tdc4_lowres_channel;
typedef struct { uint32_t delay; } tdc4_delay_config;
typedef struct {
    int size, version, tdc_mode; crono_bool_t start_rising; double dc_offset[5]; tdc4_trigger trigger[16];
    tdc4_tiger_block tiger_block[5]; tdc4_channel channel[4]; tdc4_lowres_channel lowres_channel[3];
    uint32_t auto_trigger_period, auto_trigger_random_exponent; tdc4_delay_config delay_config[5];
    uint32_t ignore_empty_packets; /* TimeTagger4 only; xTDC4 ends before */
} tdc4_configuration;
typedef struct { crono_bool_t acknowledge_last_read; } tdc4_read_in;
typedef struct { volatile crono_packet *first_packet, *last_packet; int error_code; const char *error_message; } tdc4_read_out;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int state, boards = 1, serial, refuses, later_version, broken;
static const char *message = "OK";
static tdc4_configuration config;
static char *ring;               /* the host buffer */
static size_t room, written, given, freed, last_given, last_written;
static int full, missed;         /* to be told by the next packet */
static struct { void *inside; } device;

static int said(int code, const char *what) { message = what; return code; }
static size_t bytes_of(const crono_packet *p) { return 8 * (size_t)((p->type & 128 ? 0 : p->length) + 2); }

/* -- for the simulation ------------------------------------------------------------------------------------------ */

void sim_reset(size_t capacity) {
    pthread_mutex_lock(&lock);
    free(ring); ring = malloc(capacity); room = capacity;
    written = given = freed = last_given = last_written = 0; full = missed = 0;
    state = CREATED; boards = 1; serial = (23 << 24) | 5; refuses = later_version = broken = 0; message = "OK";
    pthread_mutex_unlock(&lock);
}
void sim_boards(int n) { boards = n; }
void sim_serial(int number) { serial = number; }
void sim_refuse(int on) { refuses = on; }
void sim_later_version(int on) { later_version = on; }
void sim_break(int on) { broken = on; }
void sim_miss(void) { missed = 1; }
int sim_capturing(void) { return state == CAPTURING; }
size_t sim_unacknowledged(void) { return written - freed; }

/* Packets, one behind the other, each with all of its data; -1 while nothing is captured. */
int sim_push(const char *packets, size_t size) {
    pthread_mutex_lock(&lock);
    if (state != CAPTURING) { pthread_mutex_unlock(&lock); return -1; }
    if (freed == written) written = given = freed = 0; /* a ring whose packets never wrap around its end */
    for (size_t at = 0; at < size;) {
        const crono_packet *p = (const crono_packet *)(packets + at);
        size_t n = bytes_of(p);
        at += n;
        if (written + n > room) { full = 1; continue; }
        crono_packet *q = (crono_packet *)(ring + written);
        memcpy(q, p, n);
        if (full) { q->flags |= FLAG_HOST_BUFFER_FULL | FLAG_START_MISSED; full = 0; }
        if (missed) { q->flags |= FLAG_START_MISSED; missed = 0; }
        last_written = written;
        written += n;
    }
    pthread_mutex_unlock(&lock);
    return 0;
}

/* -- the library, the same for both kinds of board --------------------------------------------------------------- */

static int count(int *code, const char **why) { *code = OK; *why = "OK"; return boards; }
static int defaults(tdc4_init_parameters *init, int type) {
    memset(init, 0, sizeof *init);
    init->version = 1; init->device_type = type; init->rclk_sel = 2;
    return OK;
}
static void *init(tdc4_init_parameters *params, int *code, const char **why) {
    *code = OK; *why = "OK";
    if (params->version != 1) { *code = 17; *why = "init parameters of another version"; return NULL; }
    if (params->card_index >= boards) { *code = DEVICE_NOT_FOUND; *why = "no board of this index"; return NULL; }
    if (state != CREATED) { *code = WRONG_STATE; *why = "already initialized"; return NULL; }
    state = INITIALIZED;
    return &device;
}
static int close_(void *d) {
    if (d != &device) return INVALID_DEVICE;
    pthread_mutex_lock(&lock);
    state = CREATED; written = given = freed = 0;
    pthread_mutex_unlock(&lock);
    return OK;
}
static int static_info(void *d, tdc4_static_info *info) {
    if (d != &device) return INVALID_DEVICE;
    memset(info, 0, sizeof *info);
    info->size = sizeof *info + 8 * later_version; info->version = 2; info->driver_revision = 0x010a07;
    info->firmware_revision = 7; info->subversion_revision = 23100; info->board_revision = 7; info->board_serial = serial;
    info->flash_valid = 1; info->auto_trigger_ref_clock = 312.5e6; info->rollover_period = 1 << 24;
    return OK;
}
static int param_info(void *d, tdc4_param_info *info, double bin_ps) {
    if (d != &device) return INVALID_DEVICE;
    memset(info, 0, sizeof *info);
    info->size = sizeof *info; info->version = 1; info->binsize = info->packet_binsize = bin_ps;
    info->channels = 4; info->channel_mask = 15; info->total_buffer = room;
    return OK;
}
static int default_configuration(void *d, tdc4_configuration *c, size_t size) {
    if (d != &device) return INVALID_DEVICE;
    memset(c, 0, size);
    c->size = size + 8 * later_version; c->version = 1; c->tdc_mode = 1; /* a user must say what he wants */
    return OK;
}
static int configure(void *d, tdc4_configuration *c, size_t size) {
    if (d != &device) return INVALID_DEVICE;
    if (state == CAPTURING) return said(WRONG_STATE, "capturing");
    if (c->size != (int)size || c->tdc_mode != 0) return said(INVALID_CONFIG, "not grouped, or of another size");
    memcpy(&config, c, size);
    state = CONFIGURED;
    return OK;
}
static int start(void *d) {
    if (d != &device) return INVALID_DEVICE;
    if (refuses) return said(SYNCHRONIZATION_FAILED, "synchronization failed: no reference clock");
    if (state != CONFIGURED) return said(WRONG_STATE, "not configured, or capturing already");
    pthread_mutex_lock(&lock);
    state = CAPTURING; written = given = freed = 0; full = missed = 0;
    pthread_mutex_unlock(&lock);
    return OK;
}
static int stop(void *d) {
    if (d != &device) return INVALID_DEVICE;
    if (state != CAPTURING) return said(WRONG_STATE, "not capturing");
    pthread_mutex_lock(&lock);
    state = CONFIGURED; written = given = freed = 0;
    pthread_mutex_unlock(&lock);
    return OK;
}
static int acknowledge(void *d, volatile crono_packet *packet) {
    if (d != &device) return INVALID_DEVICE;
    pthread_mutex_lock(&lock);
    freed = (size_t)((char *)packet - ring) + bytes_of((crono_packet *)packet);
    pthread_mutex_unlock(&lock);
    return OK;
}
static int read_(void *d, tdc4_read_in *in, tdc4_read_out *out) {
    memset(out, 0, sizeof *out);
    if (d != &device) return INVALID_DEVICE;
    pthread_mutex_lock(&lock);
    if (in->acknowledge_last_read) freed = given;
    out->error_message = "OK";
    if (broken) { out->error_code = READ_INTERNAL_ERROR; out->error_message = "the board must be initialized again"; }
    else if (state != CAPTURING) { out->error_code = READ_WRONG_STATE; out->error_message = "not capturing"; }
    else if (given == written) { out->error_code = READ_NO_DATA; out->error_message = "no data"; }
    else {
        out->first_packet = (crono_packet *)(ring + given);
        out->last_packet = (crono_packet *)(ring + last_written);
        given = written;
    }
    pthread_mutex_unlock(&lock);
    return out->error_code;
}

#define BOARD(name, type, bin_ps, size)                                                                              \
    int name##_count_devices(int *c, const char **m) { return count(c, m); }                                         \
    int name##_get_default_init_parameters(tdc4_init_parameters *p) { return defaults(p, type); }                    \
    void *name##_init(tdc4_init_parameters *p, int *c, const char **m) { return init(p, c, m); }                     \
    int name##_close(void *d) { return close_(d); }                                                                  \
    int name##_get_static_info(void *d, tdc4_static_info *i) { return static_info(d, i); }                           \
    int name##_get_param_info(void *d, tdc4_param_info *i) { return param_info(d, i, bin_ps); }                      \
    int name##_get_default_configuration(void *d, tdc4_configuration *c) { return default_configuration(d, c, size); }\
    int name##_configure(void *d, tdc4_configuration *c) { return configure(d, c, size); }                           \
    int name##_start_capture(void *d) { return start(d); }                                                           \
    int name##_stop_capture(void *d) { return stop(d); }                                                             \
    int name##_acknowledge(void *d, volatile crono_packet *p) { return acknowledge(d, p); }                          \
    int name##_read(void *d, tdc4_read_in *i, tdc4_read_out *o) { return read_(d, i, o); }                           \
    const char *name##_get_last_error_message(void *d) { (void)d; return message; }                                  \
    const char *name##_get_driver_revision_str(void) { return "1.10.7"; }

#define WITHOUT_IGNORE ((offsetof(tdc4_configuration, ignore_empty_packets) + 7) / 8 * 8)
#include <stddef.h>
BOARD(timetagger4, 0x8, 500.0, sizeof(tdc4_configuration))
BOARD(xtdc4, 0x6, 5000.0 / 384.0, WITHOUT_IGNORE)
