/* A subscriber in C, written from docs/protocols/stream.md alone.
 *
 * stream_subscriber LIBZMQ STREAM REPLAY
 *
 * It joins with a nonce, says "welcome", waits for a line of input (so that a test can let it stall), then follows all
 * topics, repairs every gap through the replay socket, finds a lost tail by the beats, and ends at the second beat after
 * an event of the kind "end". Then it prints what it has seen as JSON.
 */

#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "stream_json.h"

enum { SUB = 2, DEALER = 5, SUBSCRIBE = 6, LINGER = 17, MAXMSGSIZE = 22, RCVHWM = 24, RCVTIMEO = 27, MORE = 1 };
enum { TOPICS = 7, HITS = 0, EVENT = 5, BEAT = 6, MOST_FRAMES = 10000, MOST_BYTES = 4 << 20, SILENCE_MS = 5000 };

typedef struct {
    _Alignas(8) unsigned char opaque[64];
} zmq_msg_t;

static void *(*zmq_ctx_new)(void);
static void *(*zmq_socket)(void *, int);
static int (*zmq_setsockopt)(void *, int, const void *, size_t);
static int (*zmq_connect)(void *, const char *);
static int (*zmq_send)(void *, const void *, size_t, int);
static int (*zmq_msg_init)(zmq_msg_t *);
static int (*zmq_msg_recv)(zmq_msg_t *, void *, int);
static void *(*zmq_msg_data)(zmq_msg_t *);
static size_t (*zmq_msg_size)(const zmq_msg_t *);
static int (*zmq_msg_more)(const zmq_msg_t *);
static int (*zmq_msg_close)(zmq_msg_t *);
static int (*zmq_close)(void *);
static int (*zmq_ctx_term)(void *);

typedef struct {
    zmq_msg_t parts[3];
    Text topic, header, payload;
} Frame;

static const char *const names[TOPICS] = {"hits.", "words.", "loop.", "slow.", "state.", "event.", "beat."};
static long long expected[TOPICS], due[TOPICS], frames[TOPICS]; /* expected -1: not known yet */
static long long hits, tof_sum, pulses, inhibited, rows, gaps, repaired, lost, duplicates, restarts, requests;
static char instance[65], welcome_topic[40];
static bool welcomed, ending;
static int beats_after_end;
static void *context, *stream, *replay;
static const char *replay_address;

static void load(const char *path) {
    void *library = dlopen(path, RTLD_NOW);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        exit(2);
    }
    struct {
        void *pointer;
        const char *name;
    } wanted[] = {
        {&zmq_ctx_new, "zmq_ctx_new"},   {&zmq_socket, "zmq_socket"},     {&zmq_setsockopt, "zmq_setsockopt"},
        {&zmq_connect, "zmq_connect"},   {&zmq_send, "zmq_send"},         {&zmq_msg_init, "zmq_msg_init"},
        {&zmq_msg_recv, "zmq_msg_recv"}, {&zmq_msg_data, "zmq_msg_data"}, {&zmq_msg_size, "zmq_msg_size"},
        {&zmq_msg_more, "zmq_msg_more"}, {&zmq_msg_close, "zmq_msg_close"}, {&zmq_close, "zmq_close"},
        {&zmq_ctx_term, "zmq_ctx_term"},
    };
    for (size_t k = 0; k < sizeof wanted / sizeof *wanted; k++) {
        void *found = dlsym(library, wanted[k].name);
        memcpy(wanted[k].pointer, &found, sizeof found);
    }
}

static void *open_socket(int kind, const char *address, int most_waiting) {
    void *made = zmq_socket(context, kind);
    int linger = 0, silence_ms = SILENCE_MS;
    int64_t largest = 256 << 20;
    zmq_setsockopt(made, LINGER, &linger, sizeof linger);
    zmq_setsockopt(made, RCVHWM, &most_waiting, sizeof most_waiting);
    zmq_setsockopt(made, RCVTIMEO, &silence_ms, sizeof silence_ms);
    zmq_setsockopt(made, MAXMSGSIZE, &largest, sizeof largest);
    zmq_connect(made, address);
    return made;
}

static Text text_of(zmq_msg_t *message) {
    const char *data = zmq_msg_data(message);
    return (Text){data, data + zmq_msg_size(message)};
}

static void release(Frame *frame) {
    for (int k = 0; k < 3; k++) zmq_msg_close(&frame->parts[k]);
}

/* Receive a message of exactly three parts; messages of another number of parts are passed over. Silence: false. */
static bool receive(void *socket, Frame *frame) {
    for (;;) {
        int count = 0;
        bool more = true;
        for (int k = 0; k < 3; k++) zmq_msg_init(&frame->parts[k]);
        for (; more; count++) {
            zmq_msg_t spare, *part = count < 3 ? &frame->parts[count] : &spare;
            if (count >= 3) zmq_msg_init(&spare);
            if (zmq_msg_recv(part, socket, 0) < 0) {
                release(frame);
                return false;
            }
            more = zmq_msg_more(part);
            if (count >= 3) zmq_msg_close(&spare);
        }
        if (count == 3) {
            frame->topic = text_of(&frame->parts[0]);
            frame->header = text_of(&frame->parts[1]);
            frame->payload = text_of(&frame->parts[2]);
            return true;
        }
        release(frame);
    }
}

static int topic_of(Text topic) {
    for (int k = 0; k < TOPICS; k++)
        if ((size_t)(topic.end - topic.at) == strlen(names[k]) && !memcmp(topic.at, names[k], strlen(names[k]))) return k;
    return -1;
}

/* Find a column by its name; NULL when it is absent, of another type, or not within the payload. */
static const unsigned char *column(Frame *frame, const char *name, const char *dtype, size_t width, long long n) {
    Text columns, entry, value;
    const char *at = NULL;
    if (!member(frame->header, "columns", &columns)) return NULL;
    while (element(columns, &at, &entry)) {
        if (!member(entry, "name", &value) || !is_text(value, name)) continue;
        if (!member(entry, "dtype", &value) || !is_text(value, dtype)) return NULL;
        long long offset = number_of(entry, "offset", -1), size = frame->payload.end - frame->payload.at;
        if (offset < 0 || offset % 8 || n < 0 || n > size || offset + n * (long long)width > size) return NULL;
        return (const unsigned char *)frame->payload.at + offset;
    }
    return NULL;
}

static void take(int topic, Frame *frame) {
    Text kind;
    frames[topic]++;
    rows += number_of(frame->header, "n", 0);
    if (topic == EVENT && member(frame->payload, "kind", &kind) && is_text(kind, "end")) ending = true;
    if (topic != HITS) return;
    long long n = number_of(frame->header, "n", 0);
    const unsigned char *tof = column(frame, "tof_ps", "<i4", 4, n);
    for (long long k = 0; tof && k < n; k++, tof += 4)
        tof_sum += (int32_t)((uint32_t)tof[0] | (uint32_t)tof[1] << 8 | (uint32_t)tof[2] << 16 | (uint32_t)tof[3] << 24);
    hits += n;
    pulses += number_of(frame->header, "last_pulse", 0) - number_of(frame->header, "first_pulse", 1) + 1;
    inhibited += number_of(frame->header, "inhibited_pulses", 0);
}

static bool ours(Text header) {
    Text value;
    return member(header, "instance", &value) && is_text(value, instance);
}

/* Ask once for a part of a gap; gives up to which number the answer reaches, or -2 for silence. */
static long long ask(int topic, long long first, long long last, long long *taken) {
    char request[512], id[24];
    snprintf(id, sizeof id, "c-%lld", ++requests);
    int length = snprintf(
        request, sizeof request,
        "{\"v\":1,\"id\":\"%s\",\"instance\":\"%s\",\"topic\":\"%s\",\"first_seq\":%lld,\"last_seq\":%lld,\"max_bytes\":%d}",
        id, instance, names[topic], first, last, MOST_BYTES
    );
    if (!replay) replay = open_socket(DEALER, replay_address, 16);
    zmq_send(replay, request, (size_t)length, 0);
    Frame frame;
    while (receive(replay, &frame)) {
        Text value;
        long long seq = number_of(frame.header, "seq", -1);
        bool end = frame.topic.at < frame.topic.end && topic_of(frame.topic) < 0 &&
                   member(frame.payload, "id", &value) && is_text(value, id);
        long long through = end ? number_of(frame.payload, "through", last) : 0;
        if (!end && topic_of(frame.topic) == topic && ours(frame.header) && seq >= first && seq <= last) {
            take(topic, &frame);
            first = seq + 1;
            ++*taken;
        }
        release(&frame);
        if (end) return through;
    }
    zmq_close(replay); /* a late answer must not be taken for that to the next request */
    replay = NULL;
    return -2;
}

static void repair(int topic, long long first, long long last) {
    long long wanted = last - first + 1, taken = 0;
    gaps++;
    for (int tries = 0; first <= last && tries < 50;) {
        long long until = last - first < MOST_FRAMES ? last : first + MOST_FRAMES - 1;
        long long through = ask(topic, first, until, &taken);
        if (through == -2) break;
        if (through < first) { /* busy */
            nanosleep(&(struct timespec){0, 100000000}, NULL);
            tries++;
        }
        first = through + 1;
    }
    repaired += taken;
    lost += wanted - taken;
}

static void follow_instance(Text header) {
    Text value;
    if (!member(header, "instance", &value) || ours(header)) return;
    size_t length = (size_t)(value.end - value.at) - 2;
    if (length > 64) exit(3);
    restarts += instance[0] != 0;
    memset(instance, 0, sizeof instance);
    memcpy(instance, value.at + 1, length);
    for (int k = 0; k < TOPICS; k++) expected[k] = due[k] = -1;
}

static void numbered(int topic, Frame *frame) {
    long long seq = number_of(frame->header, "seq", -1);
    bool first_ever = frames[topic] == 0;
    if (expected[topic] >= 0 && seq < expected[topic] && !first_ever) {
        duplicates++;
        return;
    }
    if (expected[topic] >= 0 && seq > expected[topic]) repair(topic, expected[topic], seq - 1);
    expected[topic] = seq + 1;
    take(topic, frame);
}

static void beat(Frame *frame) {
    Text last;
    if (!member(frame->payload, "last_seq", &last)) return;
    for (int k = 0; k < TOPICS; k++) {
        if (k == BEAT) continue;
        if (expected[k] >= 0 && due[k] >= expected[k]) {
            repair(k, expected[k], due[k]);
            expected[k] = due[k] + 1;
        }
        due[k] = number_of(last, names[k], -1);
    }
    beats_after_end += ending;
}

static void welcome(Frame *frame) {
    Text next;
    if (!member(frame->payload, "next_seq", &next)) exit(3);
    for (int k = 0; k < TOPICS; k++) {
        long long number = number_of(next, names[k], 0);
        if (expected[k] >= 0 && number > expected[k]) repair(k, expected[k], number - 1);
        if (expected[k] < number) expected[k] = number;
    }
    welcomed = true;
}

static void handle(Frame *frame) {
    int topic = topic_of(frame->topic);
    if (number_of(frame->header, "v", 0) != 1) exit(4); /* another version: not for this program */
    follow_instance(frame->header);
    if (topic == BEAT) {
        numbered(topic, frame);
        beat(frame);
    } else if (topic >= 0) {
        numbered(topic, frame);
    } else {
        welcome(frame);
    }
}

int main(int count, char **words) {
    if (count != 4) return 2;
    load(words[1]);
    context = zmq_ctx_new();
    replay_address = words[3];
    stream = open_socket(SUB, words[2], 64);
    snprintf(welcome_topic, sizeof welcome_topic, "welcome.c-%08lx", (unsigned long)getpid());
    for (int k = 0; k < TOPICS; k++) zmq_setsockopt(stream, SUBSCRIBE, names[k], strlen(names[k]));
    zmq_setsockopt(stream, SUBSCRIBE, welcome_topic, strlen(welcome_topic)); /* last */
    Frame frame;
    while (beats_after_end < 2 && receive(stream, &frame)) {
        bool before = welcomed;
        handle(&frame);
        release(&frame);
        if (welcomed && !before) {
            puts("welcome");
            fflush(stdout);
            if (getchar() == EOF) break;
        }
    }
    printf("{\"ended\":%s,\"instance\":\"%s\",\"frames\":{", beats_after_end >= 2 ? "true" : "false", instance);
    for (int k = 0; k < TOPICS; k++) printf("%s\"%s\":%lld", k ? "," : "", names[k], frames[k]);
    printf("},\"hits\":%lld,\"tof_sum\":%lld,\"pulses\":%lld,\"inhibited\":%lld,\"rows\":%lld,\"gaps\":%lld,"
           "\"repaired\":%lld,\"lost\":%lld,\"duplicates\":%lld,\"restarts\":%lld}\n",
           hits, tof_sum, pulses, inhibited, rows, gaps, repaired, lost, duplicates, restarts);
    zmq_close(stream);
    if (replay) zmq_close(replay);
    zmq_ctx_term(context);
    return 0;
}
