/* What a machine may do to a process, between it and the C library: a disk that fills, stalls or fails, a clock that is set.
 * Loaded by LD_PRELOAD; FAULTS_SHIM names a file of five 64 bit numbers that the test writes and this library maps.
 * Only files below a folder named "journal" and whose name begins with "acquire" are touched, and all below a folder named
 * "runs" where that has become read-only. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct faults {
    volatile int64_t clock_ns;   /* added to CLOCK_REALTIME */
    volatile int64_t room_bytes; /* that the disk still takes; negative: no end */
    volatile int64_t stall_us;   /* for the next write, once */
    volatile int64_t error;      /* errno of every write; 0: none */
    volatile int64_t read_only;  /* whether the disk of the runs was mounted anew as read-only */
};

static struct faults none = {0, -1, 0, 0, 0}, *now = &none;

__attribute__((constructor)) static void map_faults(void) {
    const char *path = getenv("FAULTS_SHIM");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return;
    void *page = mmap(NULL, sizeof *now, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page != MAP_FAILED) now = page;
    close(fd);
}

static int lies_below(int fd, const char *part) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return 0;
    path[n] = 0;
    return strstr(path, part) != NULL;
}

static int is_journal(int fd) { return lies_below(fd, "/journal/acquire"); }

static int refused(const char *path) {
    if (!now->read_only || !strstr(path, "/runs/")) return 0;
    errno = EROFS;
    return 1;
}

int open64(const char *path, int flags, ...) {
    static int (*real)(const char *, int, ...);
    if (!real) real = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open64");
    va_list rest;
    va_start(rest, flags);
    mode_t mode = flags & O_CREAT ? va_arg(rest, mode_t) : 0;
    va_end(rest);
    return (flags & (O_WRONLY | O_RDWR)) && refused(path) ? -1 : real(path, flags, mode);
}

int mkdir(const char *path, mode_t mode) {
    static int (*real)(const char *, mode_t);
    if (!real) real = (int (*)(const char *, mode_t))dlsym(RTLD_NEXT, "mkdir");
    return refused(path) ? -1 : real(path, mode);
}

int rename(const char *from, const char *to) {
    static int (*real)(const char *, const char *);
    if (!real) real = (int (*)(const char *, const char *))dlsym(RTLD_NEXT, "rename");
    return refused(to) ? -1 : real(from, to);
}

ssize_t write(int fd, const void *data, size_t count) {
    static ssize_t (*real)(int, const void *, size_t);
    if (!real) real = (ssize_t(*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    if (now->read_only && lies_below(fd, "/runs/")) {
        errno = EROFS;
        return -1;
    }
    return real(fd, data, count);
}

ssize_t writev(int fd, const struct iovec *iov, int count) {
    static ssize_t (*real)(int, const struct iovec *, int);
    if (!real) real = (ssize_t(*)(int, const struct iovec *, int))dlsym(RTLD_NEXT, "writev");
    if (now->read_only && lies_below(fd, "/runs/")) {
        errno = EROFS;
        return -1;
    }
    if (!is_journal(fd)) return real(fd, iov, count);
    int64_t stall_us = __atomic_exchange_n(&now->stall_us, 0, __ATOMIC_SEQ_CST);
    if (stall_us > 0) {
        struct timespec rest = {stall_us / 1000000, stall_us % 1000000 * 1000};
        nanosleep(&rest, NULL);
    }
    if (now->error) {
        errno = (int)now->error;
        return -1;
    }
    int64_t room = now->room_bytes;
    if (room < 0) return real(fd, iov, count);
    if (room == 0) {
        errno = ENOSPC;
        return -1;
    }
    struct iovec first = iov[0]; /* a short write of what fits of the first piece: legal, and what full disks do */
    if ((int64_t)first.iov_len > room) first.iov_len = (size_t)room;
    ssize_t done = real(fd, &first, 1);
    if (done > 0) now->room_bytes = room - done;
    return done;
}

int clock_gettime(clockid_t id, struct timespec *t) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, t);
    if (result == 0 && id == CLOCK_REALTIME) {
        int64_t ns = t->tv_nsec + now->clock_ns % 1000000000, s = t->tv_sec + now->clock_ns / 1000000000;
        if (ns < 0) ns += 1000000000, s -= 1;
        if (ns >= 1000000000) ns -= 1000000000, s += 1;
        t->tv_sec = s;
        t->tv_nsec = ns;
    }
    return result;
}
