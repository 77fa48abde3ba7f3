/* A disk that fails: preloaded into a process, it makes the calls on files below a folder fail.
 *
 * FAULT_BELOW  the folder; files elsewhere are left alone
 * FAULT_CALLS  names of calls between commas, as in the table below
 * FAULT_AT     the number of the first call that fails, from 0
 * FAULT_STAYS  whether those after it fail too
 * FAULT_ERRNO  with which error
 * FAULT_COUNT  a file of eight bytes: how many calls there were
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static const char *below, *calls;
static size_t below_length;
static long at = -1;
static int stays, error;
static long *count;
static int is_on;

/* Also called in a process that was forked from one with another environment. */
__attribute__((constructor)) void begin_faults(void) {
    below = getenv("FAULT_BELOW");
    calls = getenv("FAULT_CALLS");
    const char *counter = getenv("FAULT_COUNT");
    /* gpg, which edxlogs starts, has a disk that works. */
    if (!below || !calls || !counter || strncmp(program_invocation_short_name, "python", 6)) return;
    below_length = strlen(below);
    at = atol(getenv("FAULT_AT"));
    stays = atoi(getenv("FAULT_STAYS"));
    error = atoi(getenv("FAULT_ERRNO"));
    int (*real_open)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    int fd = real_open(counter, O_RDWR);
    if (fd < 0) return;
    void *shared = mmap(0, sizeof(long), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (shared == MAP_FAILED) return;
    count = shared;
    is_on = 1;
}

static int is_named(const char *call) {
    size_t length = strlen(call);
    for (const char *found = calls; (found = strstr(found, call)); found += length) {
        char before = found == calls ? ',' : found[-1], after = found[length];
        if (before == ',' && (after == ',' || !after)) return 1;
    }
    return 0;
}

static int is_below(const char *path) {
    char whole[4096];
    if (path[0] != '/') {
        if (!getcwd(whole, sizeof whole / 2)) return 0;
        size_t length = strlen(whole);
        snprintf(whole + length, sizeof whole - length, "/%s", path);
        path = whole;
    }
    return !strncmp(path, below, below_length) &&
           (path[below_length] == '/' || !path[below_length]);
}

static int is_below_fd(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    /* A pipe, a socket or the like is no file. */
    if (length <= 0 || path[0] != '/') return 0;
    path[length] = 0;
    return is_below(path);
}

/* Whether this call fails; it is counted if it is one of those that may. */
static int fails(const char *call, int there) {
    if (!there || !is_named(call)) return 0;
    long number = __atomic_fetch_add(count, 1, __ATOMIC_SEQ_CST);
    if (at < 0 || number < at || (number > at && !stays)) return 0;
    errno = error;
    return 1;
}

#define FD(call, result, name, parameters, ...)                                   \
    result name parameters {                                                      \
        static result(*real) parameters;                                          \
        if (!real) real = dlsym(RTLD_NEXT, #name);                                \
        if (is_on && fails(call, is_below_fd(fd))) return -1;                     \
        return real(__VA_ARGS__);                                                 \
    }
#define PATH(call, result, name, parameters, ...)                                 \
    result name parameters {                                                      \
        static result(*real) parameters;                                          \
        if (!real) real = dlsym(RTLD_NEXT, #name);                                \
        if (is_on && fails(call, is_below(path))) return -1;                      \
        return real(__VA_ARGS__);                                                 \
    }

FD("write", ssize_t, write, (int fd, const void *bytes, size_t size), fd, bytes, size)
FD("write", ssize_t, pwrite, (int fd, const void *b, size_t s, off_t o), fd, b, s, o)
FD("write", ssize_t, pwrite64, (int fd, const void *b, size_t s, off64_t o), fd, b, s, o)
FD("write", ssize_t, writev, (int fd, const struct iovec *parts, int n), fd, parts, n)
FD("read", ssize_t, read, (int fd, void *bytes, size_t size), fd, bytes, size)
FD("read", ssize_t, pread, (int fd, void *b, size_t s, off_t o), fd, b, s, o)
FD("read", ssize_t, pread64, (int fd, void *b, size_t s, off64_t o), fd, b, s, o)
FD("read", ssize_t, readv, (int fd, const struct iovec *parts, int n), fd, parts, n)
FD("sync", int, fsync, (int fd), fd)
FD("sync", int, fdatasync, (int fd), fd)
FD("sync", int, syncfs, (int fd), fd)
FD("truncate", int, ftruncate, (int fd, off_t length), fd, length)
FD("truncate", int, ftruncate64, (int fd, off64_t length), fd, length)
FD("lock", int, flock, (int fd, int how), fd, how)
PATH("mkdir", int, mkdir, (const char *path, mode_t mode), path, mode)
PATH("unlink", int, unlink, (const char *path), path)
PATH("rename", int, rename, (const char *from, const char *path), from, path)
PATH("link", int, link, (const char *from, const char *path), from, path)
PATH("chmod", int, chmod, (const char *path, mode_t mode), path, mode)

ssize_t copy_file_range(int from, off64_t *from_at, int fd, off64_t *to_at, size_t size,
                        unsigned flags) {
    static ssize_t (*real)(int, off64_t *, int, off64_t *, size_t, unsigned);
    if (!real) real = dlsym(RTLD_NEXT, "copy_file_range");
    if (is_on && fails("write", is_below_fd(fd))) return -1;
    return real(from, from_at, fd, to_at, size, flags);
}

#define OPEN(name)                                                                \
    int name(const char *path, int flags, ...) {                                  \
        static int (*real)(const char *, int, ...);                               \
        if (!real) real = dlsym(RTLD_NEXT, #name);                                \
        va_list more;                                                             \
        va_start(more, flags);                                                    \
        mode_t mode = (flags & (O_CREAT | __O_TMPFILE)) ? va_arg(more, mode_t) : 0; \
        va_end(more);                                                             \
        const char *call = (flags & O_CREAT) ? "create" : "open";                 \
        if (is_on && fails(call, is_below(path))) return -1;                      \
        return real(path, flags, mode);                                           \
    }
OPEN(open)
OPEN(open64)
