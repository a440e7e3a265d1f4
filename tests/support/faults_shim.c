/* What a machine may do to a process, between it and the C library: a disk that fills, stalls or fails, a clock that is set.
 * Loaded by LD_PRELOAD; FAULTS_SHIM names a file of 64 bit numbers that the test writes and this library maps.
 * Only files below a folder named "journal" and whose name begins with "acquire" are touched, those of the guard too where
 * that is asked for, and all below a folder named "runs" where that has become read-only.
 * FAULTS_LEDGER names a file in which this library counts, by inode, what the journals' writes have returned: the memory is
 * shared with that file, so that it outlives the process. */
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
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct faults {
    volatile int64_t clock_ns;   /* added to CLOCK_REALTIME */
    volatile int64_t room_bytes; /* that the disk still takes; negative: no end */
    volatile int64_t stall_us;   /* for the next write, once */
    volatile int64_t error;      /* errno of every write; 0: none */
    volatile int64_t read_only;  /* whether the disk of the runs was mounted anew as read-only */
    volatile int64_t sync_error; /* errno of the next fdatasync, once, as the kernel reports it; 0: none */
    volatile int64_t dir_error;  /* errno of every fsync of a folder of a journal; 0: none */
    volatile int64_t open_error; /* errno of making a new segment; 0: none */
    volatile int64_t whose;      /* journals that are touched: 0 acquire's, 1 both, 2 the guard's */
    volatile int64_t free_bytes; /* that the disk of the runs says it has; negative: as it is */
};

struct row {
    volatile int64_t inode, bytes, frames;
};

enum { ROWS = 1024 };
static struct faults none = {0, -1, 0, 0, 0, 0, 0, 0, 0, -1}, *now = &none;
static struct row *ledger;

static void *mapped(const char *name, size_t size) {
    const char *path = getenv(name);
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) return NULL;
    void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return page == MAP_FAILED ? NULL : page;
}

__attribute__((constructor)) static void map_faults(void) {
    struct faults *page = mapped("FAULTS_SHIM", sizeof *now);
    if (page) now = page;
    ledger = mapped("FAULTS_LEDGER", ROWS * sizeof *ledger);
}

static int lies_below(int fd, const char *part) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0) return 0;
    path[n] = 0;
    return strstr(path, part) != NULL;
}

static int is_ours(const char *path) {
    if (now->whose < 2 && strstr(path, "/journal/acquire")) return 1;
    return now->whose > 0 && strstr(path, "/guard/guard-") != NULL;
}

static int is_journal(int fd) {
    return (now->whose < 2 && lies_below(fd, "/journal/acquire")) || (now->whose > 0 && lies_below(fd, "/guard/guard-"));
}

static void enter(int fd, const struct iovec *iov, int count, ssize_t done) {
    struct stat about;
    if (!ledger || done <= 0 || !lies_below(fd, ".evj") || fstat(fd, &about)) return;
    int64_t frames = 0, inode = (int64_t)about.st_ino;
    ssize_t left = done;
    for (int i = 0; i < count && left >= (ssize_t)iov[i].iov_len; left -= (ssize_t)iov[i].iov_len, i++)
        frames += iov[i].iov_len >= 20 && memcmp(iov[i].iov_base, "EVJ1", 4) == 0;
    if (left > 0 && frames) frames--; /* a short write: the last that began is not whole */
    for (int i = 0; i < ROWS; i++) {
        int64_t none_yet = 0;
        if (ledger[i].inode != inode && !__atomic_compare_exchange_n(&ledger[i].inode, &none_yet, inode, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) &&
            none_yet != inode)
            continue;
        __atomic_fetch_add(&ledger[i].bytes, (int64_t)done, __ATOMIC_SEQ_CST);
        __atomic_fetch_add(&ledger[i].frames, frames, __ATOMIC_SEQ_CST);
        return;
    }
}

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
    if ((flags & O_CREAT) && now->open_error && is_ours(path)) {
        errno = (int)now->open_error;
        return -1;
    }
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
    if (!is_journal(fd)) {
        ssize_t untouched = real(fd, iov, count);
        enter(fd, iov, count, untouched);
        return untouched;
    }
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
    if (room < 0) {
        ssize_t whole = real(fd, iov, count);
        enter(fd, iov, count, whole);
        return whole;
    }
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

static int tell_free(const char *path, struct statvfs64 *about, int result) {
    if (result == 0 && now->free_bytes >= 0 && strstr(path, "/runs/")) about->f_bavail = (fsblkcnt64_t)(now->free_bytes / (int64_t)about->f_frsize);
    return result;
}

int statvfs64(const char *path, struct statvfs64 *about) {
    static int (*real)(const char *, struct statvfs64 *);
    if (!real) real = (int (*)(const char *, struct statvfs64 *))dlsym(RTLD_NEXT, "statvfs64");
    return tell_free(path, about, real(path, about));
}

/* The two have one layout where off_t has 64 bits, and Python is linked with either. */
int statvfs(const char *path, struct statvfs *about) { return statvfs64(path, (struct statvfs64 *)about); }

int fdatasync(int fd) {
    static int (*real)(int);
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    if (now->sync_error && is_journal(fd)) {
        errno = (int)__atomic_exchange_n(&now->sync_error, 0, __ATOMIC_SEQ_CST);
        if (errno) return -1;
    }
    return real(fd);
}

int fsync(int fd) {
    static int (*real)(int);
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    struct stat about;
    if (now->dir_error && lies_below(fd, "/journal") && fstat(fd, &about) == 0 && S_ISDIR(about.st_mode)) {
        errno = (int)now->dir_error;
        return -1;
    }
    return real(fd);
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
