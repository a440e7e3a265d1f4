/* The xHPTDC8 library as a program sees it, without a board: structures and functions of the maker's public header
 * xHPTDC8_interface.h (API version 1). What it "measures" is pushed in by sim_push. One manager, one board. */
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define OK 0
#define DEVICE_NOT_FOUND 2
#define WRONG_STATE 4
#define INVALID_DEVICE 5
#define INVALID_ARGUMENTS 17
enum { CREATED, INITIALIZED, CONFIGURED, CAPTURING, PAUSED, CLOSED };
#define HOST_BUFFER_FULL 0x82

typedef uint8_t crono_bool_t;
typedef struct {
    int version; int64_t buffer_size; int variant; int device_type; int dma_read_delay;
    crono_bool_t multiboard, use_ext_clock, ignore_calibration;
} xhptdc8_manager_init_parameters;
typedef struct { int64_t time; uint8_t channel, type; uint16_t bin; uint32_t reserved; } TDCHit;
typedef struct {
    int size, version, board_id, driver_revision, driver_build_revision, firmware_revision, board_revision,
        board_configuration, subversion_revision, chip_id[2], board_serial;
    uint32_t flash_serial_high, flash_serial_low; crono_bool_t flash_valid; char calibration_date[20];
} xhptdc8_static_info;
typedef struct {
    int size, version, fpga_rpm, alerts, pcie_pwr_mgmt, pcie_link_width, pcie_max_payload, state;
} xhptdc8_fast_info;
typedef struct { crono_bool_t falling, rising; } xhptdc8_trigger;
typedef struct { int mode; crono_bool_t negate, retrigger, extend; int start, stop, sources; } xhptdc8_tiger_block;
typedef struct { crono_bool_t enable, rising; } xhptdc8_channel;
typedef struct {
    crono_bool_t enable, watchdog_readout; int watchdog_interval; double trigger_threshold;
} xhptdc8_adc_channel;
typedef struct {
    int size, version, auto_trigger_period, auto_trigger_random_exponent; double trigger_threshold[8];
    xhptdc8_trigger trigger[16]; xhptdc8_tiger_block gating_block[8], tiger_block[9]; xhptdc8_channel channel[8];
    xhptdc8_adc_channel adc_channel; crono_bool_t skip_alignment; int alignment_source, alignment_off_state;
} xhptdc8_device_configuration;
typedef struct {
    crono_bool_t enabled; int trigger_channel; uint64_t trigger_channel_bitmask;
    int64_t range_start, range_stop, trigger_deadtime; int zero_channel; int64_t zero_channel_offset;
    uint64_t window_hit_channels; int64_t window_start, window_stop; int veto_mode; int64_t veto_start, veto_stop;
    uint64_t veto_active_channels; crono_bool_t veto_relative_to_zero, ignore_empty_events, overlap;
} xhptdc8_grouping_configuration;
typedef struct {
    int size, version; xhptdc8_device_configuration device_configs[6]; xhptdc8_grouping_configuration grouping;
    int64_t (*bin_to_ps)(int64_t);
} xhptdc8_manager_configuration;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int state, boards = 1, serial = (21 << 24) | 7, refuses, later_version;
static const char *message = "OK";
static xhptdc8_manager_configuration config;
static TDCHit *ring;
static size_t room, head, held; /* of the host buffer, in hits */
static int full;                /* hits were dropped: told by the next one */
static uint8_t flags;           /* for the next hit */

static int said(int code, const char *what) { message = what; return code; }

/* -- for the simulation ------------------------------------------------------------------------------------------ */

void sim_reset(size_t capacity) {
    pthread_mutex_lock(&lock);
    free(ring);
    ring = malloc(capacity * sizeof *ring);
    room = capacity; head = held = 0; full = 0; flags = 0;
    state = CREATED; boards = 1; serial = (21 << 24) | 7; refuses = later_version = 0; message = "OK";
    pthread_mutex_unlock(&lock);
}
void sim_boards(int n) { boards = n; }
void sim_serial(int number) { serial = number; }
void sim_refuse(int on) { refuses = on; }
void sim_later_version(int on) { later_version = on; }
void sim_flag(int type) { flags |= (uint8_t)type; }
void sim_lost_board(void) { pthread_mutex_lock(&lock); state = CLOSED; pthread_mutex_unlock(&lock); }
int sim_capturing(void) { return state == CAPTURING; }

/* Hits of enabled channels, in the order in which they are given; -1 while nothing is captured. */
int sim_push(const TDCHit *hits, size_t n) {
    int taken = 0;
    pthread_mutex_lock(&lock);
    if (state != CAPTURING) { pthread_mutex_unlock(&lock); return -1; }
    for (size_t i = 0; i < n; i++) {
        TDCHit hit = hits[i];
        if (hit.channel > 7 || !config.device_configs[0].channel[hit.channel].enable) continue;
        if (held == room) { full = 1; continue; }
        if (full) { hit.type |= HOST_BUFFER_FULL; full = 0; }
        hit.type |= flags; flags = 0;
        ring[(head + held++) % room] = hit;
        taken++;
    }
    pthread_mutex_unlock(&lock);
    return taken;
}

/* -- the library ------------------------------------------------------------------------------------------------- */

int xhptdc8_count_devices(int *error_code, const char **error_message) {
    *error_code = OK; *error_message = "OK";
    return boards;
}
int xhptdc8_get_default_init_parameters(xhptdc8_manager_init_parameters *init) {
    if (!init) return INVALID_ARGUMENTS;
    memset(init, 0, sizeof *init);
    init->version = 1; init->device_type = 0xc; init->buffer_size = 16 << 20;
    return OK;
}
int xhptdc8_init(xhptdc8_manager_init_parameters *params) {
    if (!params || params->version != 1) return said(INVALID_ARGUMENTS, "init parameters of another version");
    if (!boards) return said(DEVICE_NOT_FOUND, "no board");
    if (state != CREATED && state != CLOSED) return said(WRONG_STATE, "already initialized");
    state = INITIALIZED;
    return OK;
}
int xhptdc8_close(void) {
    pthread_mutex_lock(&lock);
    if (state != CREATED) state = CLOSED;
    held = 0;
    pthread_mutex_unlock(&lock);
    return OK;
}
int xhptdc8_get_static_info(int index, xhptdc8_static_info *info) {
    if (index < 0 || index >= boards) return said(INVALID_DEVICE, "no board of this index");
    memset(info, 0, sizeof *info);
    info->size = sizeof *info + 4 * later_version; info->version = 1;
    info->driver_revision = 0x010604; info->firmware_revision = 2; info->subversion_revision = 23179;
    info->board_revision = 2; info->board_serial = serial; info->flash_valid = 1;
    strcpy(info->calibration_date, "2023-05-04 10:11");
    return OK;
}
int xhptdc8_get_fast_info(int index, xhptdc8_fast_info *info) {
    if (index < 0 || index >= boards) return said(INVALID_DEVICE, "no board of this index");
    memset(info, 0, sizeof *info);
    info->size = sizeof *info; info->version = 2; info->pcie_link_width = 1; info->state = state;
    return OK;
}
int xhptdc8_get_default_configuration(xhptdc8_manager_configuration *c) {
    if (state < INITIALIZED || state == CLOSED) return said(WRONG_STATE, "not initialized");
    memset(c, 0, sizeof *c);
    c->size = sizeof *c + 8 * later_version; c->version = 1;
    for (int b = 0; b < 6; b++) {
        c->device_configs[b].size = sizeof c->device_configs[b]; c->device_configs[b].version = 3;
        for (int i = 0; i < 8; i++) c->device_configs[b].trigger_threshold[i] = -0.35;
    }
    c->grouping.enabled = 1; c->grouping.zero_channel = -1; /* a user must say what he wants */
    return OK;
}
int xhptdc8_configure(xhptdc8_manager_configuration *c) {
    if (state < INITIALIZED || state == CLOSED) return said(WRONG_STATE, "not initialized");
    if (state == CAPTURING) return said(WRONG_STATE, "capturing");
    for (int i = 0; i < 8; i++) {
        double volts = c->device_configs[0].trigger_threshold[i];
        if (volts < -1.32 || volts > 1.18) return said(9, "threshold out of range");
    }
    config = *c;
    state = CONFIGURED;
    return OK;
}
int xhptdc8_start_capture(void) {
    if (refuses) return said(13, "synchronization failed: no reference clock");
    pthread_mutex_lock(&lock);
    int code = state == CONFIGURED ? OK : said(WRONG_STATE, "not configured, or capturing already");
    if (code == OK) { state = CAPTURING; head = held = 0; full = 0; }
    pthread_mutex_unlock(&lock);
    return code;
}
int xhptdc8_stop_capture(void) {
    pthread_mutex_lock(&lock);
    int code = state == CAPTURING || state == PAUSED ? OK : said(WRONG_STATE, "not capturing");
    if (code == OK) { state = CONFIGURED; held = 0; }
    pthread_mutex_unlock(&lock);
    return code;
}
int xhptdc8_pause_capture(void) { if (state != CAPTURING) return WRONG_STATE; state = PAUSED; return OK; }
int xhptdc8_continue_capture(void) { if (state != PAUSED) return WRONG_STATE; state = CAPTURING; return OK; }
int xhptdc8_start_tiger(int index) { return index < boards ? OK : INVALID_DEVICE; }
int xhptdc8_stop_tiger(int index) { return index < boards ? OK : INVALID_DEVICE; }
int xhptdc8_software_trigger(int index) { return index < boards ? OK : INVALID_DEVICE; }

/* Errors are positive codes, as in the maker's own dummy of this library: a caller must look at the buffer. */
int xhptdc8_read_hits(TDCHit *hit_buf, size_t read_max) {
    if (!hit_buf) return INVALID_ARGUMENTS;
    pthread_mutex_lock(&lock);
    if (state != CAPTURING) { pthread_mutex_unlock(&lock); return said(WRONG_STATE, "device is not capturing"); }
    size_t n = held < read_max ? held : read_max, first = n < room - head ? n : room - head;
    memcpy(hit_buf, ring + head, first * sizeof *ring);
    memcpy(hit_buf + first, ring, (n - first) * sizeof *ring);
    head = (head + n) % room; held -= n;
    pthread_mutex_unlock(&lock);
    return (int)n;
}
const char *xhptdc8_get_last_error_message(int index) { (void)index; return message; }
const char *xhptdc8_get_driver_revision_str(void) { return "1.6.4.23179"; }
int xhptdc8_get_driver_revision(void) { return 0x010604; }
