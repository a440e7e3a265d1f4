/* A C wrapper of the HPTDC driver as a program sees it, without a board: the functions of the public wrapper of hptdc_driver 3.4.3.
 * Words are pushed in by sim_push. */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { UNINITIALIZED, NOT_CONFIGURED, CONFIGURED, RUNNING, PAUSED };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int state, boards = 1, refuses, parameters, errors;
static uint32_t *ring;
static size_t room, head, held;
static char grouping[32];
static struct { int unused; } manager;

/* -- for the simulation ------------------------------------------------------------------------------------------ */

void sim_reset(size_t capacity) {
    pthread_mutex_lock(&lock);
    free(ring); ring = malloc(capacity * sizeof *ring);
    room = capacity; head = held = 0; state = UNINITIALIZED; boards = 1; refuses = parameters = errors = 0;
    pthread_mutex_unlock(&lock);
}
void sim_boards(int n) { boards = n; }
void sim_refuse(int on) { refuses = on; }
int sim_running(void) { return state == RUNNING; }
int sim_grouping(void) { return strstr(grouping, "true") != NULL; }
int sim_push(const uint32_t *words, size_t n) {
    pthread_mutex_lock(&lock);
    if (state != RUNNING) { pthread_mutex_unlock(&lock); return -1; }
    for (size_t i = 0; i < n; i++) {
        if (held + 1 >= room) { errors = 1; continue; }
        if (errors) { ring[(head + held++) % room] = 0x40000001; errors = 0; }
        ring[(head + held++) % room] = words[i];
    }
    pthread_mutex_unlock(&lock);
    return 0;
}

/* -- the wrapper ------------------------------------------------------------------------------------------------- */

void *TDCManager_New(void) { return &manager; }
int TDCManager_Delete(void *m) { (void)m; state = UNINITIALIZED; return 0; }
int TDCManager_Init(void *m) { (void)m; state = NOT_CONFIGURED; parameters = 0; return 0; }
int TDCManager_CleanUp(void *m) { (void)m; state = UNINITIALIZED; return 0; }
int TDCManager_GetTDCCount(const void *m) { (void)m; return boards; }
int TDCManager_GetDriverVersion(const void *m) { (void)m; return 0x030403; }
int TDCManager_GetState(const void *m) { (void)m; return state; }
bool TDCManager_SetParameter(void *m, const char *config) {
    (void)m;
    static const char *known[] = {"RisingEnable", "FallingEnable", "TriggerEdge", "TriggerChannel", "GroupingEnable",
        "AllowOverlap", "TriggerDeadTime", "GroupRangeStart", "GroupRangeEnd", "OutputRollovers", "VHR", "BufferSize"};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        size_t n = strlen(known[i]);
        if (!strncmp(config, known[i], n) && config[n] == ' ') {
            if (!strcmp(known[i], "GroupingEnable")) strncpy(grouping, config + n + 1, sizeof grouping - 1);
            parameters++;
            return true;
        }
    }
    return false;
}
int TDCManager_Reconfigure(void *m) { (void)m; if (parameters) state = CONFIGURED; return 0; }
int TDCManager_ClearBuffer(void *m) {
    (void)m;
    pthread_mutex_lock(&lock); head = held = 0; errors = 0; pthread_mutex_unlock(&lock);
    return 0;
}
int TDCManager_Start(void *m) { (void)m; state = refuses ? NOT_CONFIGURED : RUNNING; return 0; }
int TDCManager_Stop(void *m) { (void)m; if (state == RUNNING) state = CONFIGURED; return 0; }
int TDCManager_Pause(void *m) { (void)m; if (state == RUNNING) state = PAUSED; return 0; }
int TDCManager_Continue(void *m) { (void)m; if (state == PAUSED) state = RUNNING; return 0; }
int TDCManager_Read(void *m, uint32_t *out, int size) {
    (void)m;
    pthread_mutex_lock(&lock);
    size_t n = held < (size_t)size ? held : (size_t)size;
    for (size_t i = 0; i < n; i++) out[i] = ring[(head + i) % room];
    head = (head + n) % room; held -= n;
    pthread_mutex_unlock(&lock);
    return (int)n;
}
