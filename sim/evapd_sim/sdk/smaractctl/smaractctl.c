/* The SmarActCTL library as a program sees it, without a controller: functions, property keys, state bits and result codes of
 * the maker's public headers SmarActControl.h and SmarActControlConstants.h (version 1.3). One MCS2 with three linear axes that
 * move in real time; lengths are pm. What a person or a fault does to it are the functions sim_*. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef uint32_t SA_CTL_DeviceHandle_t, SA_CTL_TransmitHandle_t, SA_CTL_PropertyKey_t, SA_CTL_Result_t;

enum {
    OK = 0x0000, INVALID_KEY = 0x0012, INVALID_PARAMETER = 0x0013, INVALID_DATA_TYPE = 0x0016, INVALID_CHANNEL = 0x0022,
    MOVEMENT_LOCKED = 0x0025, NO_SENSOR = 0x0103, INVALID_LOCATOR = 0xf001, COMMUNICATION_FAILED = 0xf004,
    BUFFER_SIZE = 0xf006, INVALID_HANDLE = 0xf007, NOT_FOUND = 0xf01a
};
enum {
    NUMBER_OF_CHANNELS = 0x020F0017, DEVICE_STATE = 0x020F000F, SERIAL_NUMBER = 0x020F005E, DEVICE_NAME = 0x020F003D,
    AMPLIFIER_ENABLED = 0x0302000D, POSITIONER_TYPE = 0x0302003C, POSITIONER_TYPE_NAME = 0x0302003D,
    MOVE_MODE = 0x03050087, CHANNEL_STATE = 0x0305000F, POSITION = 0x0305001D, TARGET_POSITION = 0x0305001E,
    HOLD_TIME = 0x03050028, MOVE_VELOCITY = 0x03050029, MOVE_ACCELERATION = 0x0305002B, MAX_CL_FREQUENCY = 0x0305002F,
    FOLLOWING_ERROR = 0x03020055, REFERENCING_OPTIONS = 0x0307005D, BASE_UNIT = 0x03090042
};
enum {
    MOVING = 1 << 0, CLOSED_LOOP = 1 << 1, REFERENCING = 1 << 3, SENSOR = 1 << 5, CALIBRATED = 1 << 6, REFERENCED = 1 << 7,
    END_STOP = 1 << 8, MOVE_FAILED = 1 << 11, AMPLIFIER = 1 << 18, IN_POSITION = 1 << 19
};
#define CHANNELS 3
#define METRE 2
#define ROOM 64 /* of a string */
static const double TRAVEL_PM = 25e9, SPEED_PM_S = 5e9, LAG_S = 1e-3;

typedef struct {
    double place, goal, origin; /* of the drive, from its reference mark; origin is the controller's zero */
    int64_t target, velocity, acceleration;
    int moving, seeking, referenced, calibrated, at_stop, sensor, loop;
    int32_t mode, hold_ms, options, type, frequency;
    double rest_s; /* since the move has ended */
} axis_t;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static axis_t axes[CHANNELS];
static char serial[ROOM] = "MCS2-00000412";
static uint32_t handle, opened; /* 0 = none is open */
static int locked, cut;
static double seen_s;

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double speed(const axis_t *a) { return a->velocity > 0 ? (double)a->velocity : SPEED_PM_S; }

static void halt(axis_t *a) { a->moving = a->seeking = 0; }

static void advance_axis(axis_t *a, double dt) {
    if (!a->moving) {
        a->rest_s += dt;
        if (a->hold_ms >= 0 && a->rest_s * 1000.0 >= a->hold_ms) a->loop = 0;
        return;
    }
    double wanted = fmin(fmax(a->goal, -TRAVEL_PM), TRAVEL_PM), step = speed(a) * dt, gap = wanted - a->place;
    if (fabs(gap) > step) {
        a->place += gap > 0 ? step : -step;
        return;
    }
    a->place = wanted;
    a->rest_s = 0;
    if (wanted != a->goal) {
        a->at_stop = 1;
        a->loop = 0;
    } else if (a->seeking) {
        a->origin = 0;
        a->referenced = 1;
    }
    halt(a);
}

static void advance(void) {
    double now = now_s(), dt = now - seen_s;
    seen_s = now;
    for (int n = 0; n < CHANNELS; n++) advance_axis(&axes[n], dt);
}

static int64_t position(const axis_t *a) { return llround(a->place - a->origin); }

static int32_t state(const axis_t *a) {
    int32_t bits = AMPLIFIER;
    if (!a->sensor) return bits;
    bits |= SENSOR | (a->moving ? MOVING | CLOSED_LOOP : 0) | (a->loop ? CLOSED_LOOP : 0) | (a->seeking ? REFERENCING : 0);
    bits |= (a->calibrated ? CALIBRATED : 0) | (a->referenced ? REFERENCED : 0) | (a->at_stop ? END_STOP | MOVE_FAILED : 0);
    if (a->loop && !a->moving && llabs(position(a) - a->target) < 10000) bits |= IN_POSITION;
    return bits;
}

/* -- the simulation's own -- */

void sim_reset(void) {
    pthread_mutex_lock(&lock);
    memset(axes, 0, sizeof axes);
    for (int n = 0; n < CHANNELS; n++) {
        axes[n].sensor = axes[n].calibrated = 1;
        axes[n].type = 300;
        axes[n].frequency = 5000;
    }
    strcpy(serial, "MCS2-00000412");
    locked = cut = 0;
    opened = 0;
    seen_s = now_s();
    pthread_mutex_unlock(&lock);
}

void sim_serial(const char *text) {
    pthread_mutex_lock(&lock);
    snprintf(serial, ROOM, "%s", text);
    pthread_mutex_unlock(&lock);
}

void sim_locked(int on) {
    pthread_mutex_lock(&lock);
    advance();
    locked = on;
    for (int n = 0; on && n < CHANNELS; n++) halt(&axes[n]);
    pthread_mutex_unlock(&lock);
}

/* The cable is pulled, or back; what was open stays unusable. */
void sim_cut(int on) {
    pthread_mutex_lock(&lock);
    cut = on;
    opened = 0;
    pthread_mutex_unlock(&lock);
}

void sim_sensor(int channel, int on) {
    pthread_mutex_lock(&lock);
    axes[channel].sensor = on;
    pthread_mutex_unlock(&lock);
}

/* Moves an axis by hand, at once, and says whether its zero is known. */
void sim_put(int channel, int64_t pm, int referenced) {
    pthread_mutex_lock(&lock);
    advance();
    halt(&axes[channel]);
    axes[channel].place = (double)pm + axes[channel].origin;
    axes[channel].referenced = referenced;
    pthread_mutex_unlock(&lock);
}

/* The power fails: it counts from where it stands. */
void sim_power_fails(void) {
    pthread_mutex_lock(&lock);
    advance();
    for (int n = 0; n < CHANNELS; n++) {
        halt(&axes[n]);
        axes[n].origin = axes[n].place;
        axes[n].referenced = axes[n].loop = 0;
    }
    pthread_mutex_unlock(&lock);
}

int64_t sim_position(int channel) {
    pthread_mutex_lock(&lock);
    advance();
    int64_t pm = position(&axes[channel]);
    pthread_mutex_unlock(&lock);
    return pm;
}

int sim_moving(void) {
    int any = 0;
    pthread_mutex_lock(&lock);
    advance();
    for (int n = 0; n < CHANNELS; n++) any |= axes[n].moving;
    pthread_mutex_unlock(&lock);
    return any;
}

/* -- the library -- */

const char *SA_CTL_GetFullVersionString(void) { return "1.3.37 (simulated)"; }

const char *SA_CTL_GetResultInfo(SA_CTL_Result_t result) {
    switch (result) {
    case OK: return "No error";
    case INVALID_KEY: return "Invalid property key";
    case INVALID_PARAMETER: return "Invalid parameter";
    case INVALID_DATA_TYPE: return "Invalid data type";
    case INVALID_CHANNEL: return "Invalid channel index";
    case MOVEMENT_LOCKED: return "Movement locked";
    case NO_SENSOR: return "No sensor present";
    case INVALID_LOCATOR: return "Invalid locator";
    case COMMUNICATION_FAILED: return "Communication failed";
    case BUFFER_SIZE: return "Invalid query buffer size";
    case INVALID_HANDLE: return "Invalid device handle";
    case NOT_FOUND: return "Device not found";
    default: return "Unknown error";
    }
}

static SA_CTL_Result_t channel_of(SA_CTL_DeviceHandle_t device, int8_t index, axis_t **axis) {
    if (cut) return COMMUNICATION_FAILED;
    if (device == 0 || device != opened) return INVALID_HANDLE;
    if (index < 0 || index >= CHANNELS) return INVALID_CHANNEL;
    advance();
    *axis = &axes[index];
    return OK;
}

SA_CTL_Result_t SA_CTL_FindDevices(const char *options, char *list, size_t *size) {
    (void)options;
    pthread_mutex_lock(&lock);
    char line[2 * ROOM];
    int length = cut ? 0 : snprintf(line, sizeof line, "network:sn:%s\n", serial);
    SA_CTL_Result_t result = *size > (size_t)length ? OK : BUFFER_SIZE;
    if (result == OK) {
        memcpy(list, line, (size_t)length);
        list[length] = 0;
        *size = (size_t)length;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

SA_CTL_Result_t SA_CTL_Open(SA_CTL_DeviceHandle_t *device, const char *locator, const char *config) {
    (void)config;
    if (strncmp(locator, "network:", 8) && strncmp(locator, "usb:", 4)) return INVALID_LOCATOR;
    pthread_mutex_lock(&lock);
    const char *number = strstr(locator, "sn:");
    SA_CTL_Result_t result = cut || (number && strcmp(number + 3, serial)) ? NOT_FOUND : OK;
    if (result == OK) *device = opened = ++handle;
    pthread_mutex_unlock(&lock);
    return result;
}

SA_CTL_Result_t SA_CTL_Close(SA_CTL_DeviceHandle_t device) {
    pthread_mutex_lock(&lock);
    SA_CTL_Result_t result = device && device == opened ? OK : INVALID_HANDLE;
    if (result == OK) opened = 0;
    pthread_mutex_unlock(&lock);
    return result;
}

SA_CTL_Result_t SA_CTL_Cancel(SA_CTL_DeviceHandle_t device) {
    (void)device;
    return OK;
}

static int32_t *kept(axis_t *a, SA_CTL_PropertyKey_t key) {
    switch (key) {
    case MOVE_MODE: return &a->mode;
    case HOLD_TIME: return &a->hold_ms;
    case REFERENCING_OPTIONS: return &a->options;
    case POSITIONER_TYPE: return &a->type;
    case MAX_CL_FREQUENCY: return &a->frequency;
    default: return NULL;
    }
}

SA_CTL_Result_t SA_CTL_GetProperty_i32(
    SA_CTL_DeviceHandle_t device, int8_t index, SA_CTL_PropertyKey_t key, int32_t *value, size_t *size) {
    (void)size;
    pthread_mutex_lock(&lock);
    axis_t *a = NULL;
    SA_CTL_Result_t result = channel_of(device, index, &a);
    if (result == OK) {
        int32_t *own = kept(a, key);
        if (own) *value = *own;
        else if (key == NUMBER_OF_CHANNELS) *value = CHANNELS;
        else if (key == DEVICE_STATE) *value = locked ? 2 : 0;
        else if (key == CHANNEL_STATE) *value = state(a);
        else if (key == BASE_UNIT) *value = METRE;
        else if (key == AMPLIFIER_ENABLED) *value = 1;
        else if (key == POSITION || key == TARGET_POSITION) result = INVALID_DATA_TYPE;
        else result = INVALID_KEY;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

SA_CTL_Result_t SA_CTL_SetProperty_i32(
    SA_CTL_DeviceHandle_t device, int8_t index, SA_CTL_PropertyKey_t key, int32_t value) {
    pthread_mutex_lock(&lock);
    axis_t *a = NULL;
    SA_CTL_Result_t result = channel_of(device, index, &a);
    if (result == OK) {
        int32_t *own = kept(a, key);
        if (key == MOVE_MODE && (value < 0 || value > 4)) result = INVALID_PARAMETER;
        else if (own) *own = value;
        else if (key != AMPLIFIER_ENABLED) result = INVALID_KEY;
        if (result == OK && key == POSITIONER_TYPE) a->referenced = 0;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

SA_CTL_Result_t SA_CTL_GetProperty_i64(
    SA_CTL_DeviceHandle_t device, int8_t index, SA_CTL_PropertyKey_t key, int64_t *value, size_t *size) {
    (void)size;
    pthread_mutex_lock(&lock);
    axis_t *a = NULL;
    SA_CTL_Result_t result = channel_of(device, index, &a);
    if (result == OK && !a->sensor) result = NO_SENSOR;
    if (result == OK) {
        if (key == POSITION) *value = position(a);
        else if (key == TARGET_POSITION) *value = a->target;
        else if (key == FOLLOWING_ERROR) *value = a->moving ? llround(copysign(speed(a) * LAG_S, a->goal - a->place)) : 0;
        else if (key == MOVE_VELOCITY) *value = a->velocity;
        else if (key == MOVE_ACCELERATION) *value = a->acceleration;
        else result = INVALID_KEY;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

SA_CTL_Result_t SA_CTL_SetProperty_i64(
    SA_CTL_DeviceHandle_t device, int8_t index, SA_CTL_PropertyKey_t key, int64_t value) {
    pthread_mutex_lock(&lock);
    axis_t *a = NULL;
    SA_CTL_Result_t result = channel_of(device, index, &a);
    if (result == OK) {
        if (key == POSITION) {
            a->origin = a->place - (double)value;
            a->target = value;
        } else if ((key == MOVE_VELOCITY || key == MOVE_ACCELERATION) && value < 0) result = INVALID_PARAMETER;
        else if (key == MOVE_VELOCITY) a->velocity = value;
        else if (key == MOVE_ACCELERATION) a->acceleration = value;
        else result = INVALID_KEY;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

SA_CTL_Result_t SA_CTL_GetProperty_s(
    SA_CTL_DeviceHandle_t device, int8_t index, SA_CTL_PropertyKey_t key, char *value, size_t *size) {
    pthread_mutex_lock(&lock);
    axis_t *a = NULL;
    SA_CTL_Result_t result = channel_of(device, index, &a);
    const char *text = key == SERIAL_NUMBER ? serial : key == DEVICE_NAME ? "MCS2" : key == POSITIONER_TYPE_NAME ? "SL...S1SS" : NULL;
    if (result == OK && !text) result = INVALID_KEY;
    if (result == OK && *size <= strlen(text)) result = BUFFER_SIZE;
    if (result == OK) {
        strcpy(value, text);
        *size = strlen(text);
    }
    pthread_mutex_unlock(&lock);
    return result;
}

static SA_CTL_Result_t start(SA_CTL_DeviceHandle_t device, int8_t index, axis_t **a) {
    SA_CTL_Result_t result = channel_of(device, index, a);
    if (result == OK && locked) result = MOVEMENT_LOCKED;
    if (result == OK && !(*a)->sensor) result = NO_SENSOR;
    if (result == OK) {
        (*a)->loop = (*a)->moving = 1;
        (*a)->seeking = (*a)->at_stop = 0;
    }
    return result;
}

SA_CTL_Result_t SA_CTL_Move(SA_CTL_DeviceHandle_t device, int8_t index, int64_t value, SA_CTL_TransmitHandle_t transmit) {
    (void)transmit;
    pthread_mutex_lock(&lock);
    axis_t *a = NULL;
    SA_CTL_Result_t result = start(device, index, &a);
    if (result == OK) {
        a->target = value + (a->mode == 1 ? position(a) : 0);
        a->goal = (double)a->target + a->origin;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

SA_CTL_Result_t SA_CTL_Stop(SA_CTL_DeviceHandle_t device, int8_t index, SA_CTL_TransmitHandle_t transmit) {
    (void)transmit;
    pthread_mutex_lock(&lock);
    axis_t *a = NULL;
    SA_CTL_Result_t result = channel_of(device, index, &a);
    if (result == OK) halt(a);
    pthread_mutex_unlock(&lock);
    return result;
}

SA_CTL_Result_t SA_CTL_Reference(SA_CTL_DeviceHandle_t device, int8_t index, SA_CTL_TransmitHandle_t transmit) {
    (void)transmit;
    pthread_mutex_lock(&lock);
    axis_t *a = NULL;
    SA_CTL_Result_t result = start(device, index, &a);
    if (result == OK) {
        a->seeking = 1;
        a->referenced = 0;
        a->goal = 0;
        a->target = 0;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

SA_CTL_Result_t SA_CTL_Calibrate(SA_CTL_DeviceHandle_t device, int8_t index, SA_CTL_TransmitHandle_t transmit) {
    (void)transmit;
    pthread_mutex_lock(&lock);
    axis_t *a = NULL;
    SA_CTL_Result_t result = channel_of(device, index, &a);
    if (result == OK && locked) result = MOVEMENT_LOCKED;
    if (result == OK) a->calibrated = 1;
    pthread_mutex_unlock(&lock);
    return result;
}
