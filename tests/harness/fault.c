/* Makes one call of one process fail, or kills the process in the midst of it: the Nth of the kinds that FAULT_CALLS names, over
 * all threads, on what lies in the folder FAULT_UNDER. FAULT is an errno by name, or KILL; a write that kills has written half. How
 * many such calls there were, and how many met the fault, stands in the file FAULT_PAGE. Loaded before libc; for tests only. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static struct { _Atomic long calls, met; } *page;
static const char *kinds, *under;
static size_t under_bytes;
static long at;
static int error; /* 0 kills */

__attribute__((constructor)) static void read_environment(void)
{
    const char *path = getenv("FAULT_PAGE"), *fault = getenv("FAULT"), *number = getenv("FAULT_AT");
    kinds = getenv("FAULT_CALLS");
    under = getenv("FAULT_UNDER");
    if (!path || !fault || !number || !kinds || !under)
        return;
    under_bytes = strlen(under);
    at = atol(number);
    error = !strcmp(fault, "EIO") ? EIO : !strcmp(fault, "ENOSPC") ? ENOSPC : 0;
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0)
        abort();
    void *mapped = mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (mapped == MAP_FAILED)
        abort();
    page = mapped;
}

static void die(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

/* Whether this call of `kind` on `path` is the one. */
static int chosen(const char *kind, const char *path)
{
    if (!page || strncmp(path, under, under_bytes) || (path[under_bytes] && path[under_bytes] != '/'))
        return 0;
    size_t bytes = strlen(kind);
    const char *found = kinds;
    while ((found = strstr(found, kind)) && ((found > kinds && found[-1] != ',') || (found[bytes] && found[bytes] != ',')))
        found += bytes;
    if (!found || ++page->calls != at)
        return 0;
    page->met++;
    return 1;
}

static int chosen_open(const char *kind, int file)
{
    int before = errno;
    char link[32], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t bytes = page ? readlink(link, path, sizeof path - 1) : -1;
    errno = before;
    if (bytes < 0)
        return 0;
    path[bytes] = 0;
    return chosen(kind, path);
}

static int chosen_at(const char *kind, int folder, const char *path)
{
    return folder == AT_FDCWD ? chosen(kind, path) : chosen_open(kind, folder);
}

/* What a chosen call answers, if it answers. */
static int fails(void)
{
    if (!error)
        die();
    errno = error;
    return -1;
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) \
        real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

#define ON_FILE(name, parameters, arguments, ...) \
    int name parameters \
    { \
        REAL(int, #name, __VA_ARGS__); \
        return chosen_open(#name, file) ? fails() : real arguments; \
    }

ON_FILE(fsync, (int file), (file), int)
ON_FILE(fdatasync, (int file), (file), int)
ON_FILE(syncfs, (int file), (file), int)
ON_FILE(ftruncate64, (int file, off64_t bytes), (file, bytes), int, off64_t)

int posix_fallocate(int file, off_t from, off_t bytes)
{
    REAL(int, "posix_fallocate", int, off_t, off_t);
    /* It answers with the error. */
    return chosen_open("posix_fallocate", file) ? fails(), errno : real(file, from, bytes);
}

ssize_t pwrite64(int file, const void *data, size_t bytes, off64_t from)
{
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    if (!chosen_open("pwrite64", file))
        return real(file, data, bytes, from);
    if (!error)
        real(file, data, bytes / 2, from);
    return fails();
}

ssize_t write(int file, const void *data, size_t bytes)
{
    REAL(ssize_t, "write", int, const void *, size_t);
    if (!chosen_open("write", file))
        return real(file, data, bytes);
    if (!error)
        real(file, data, bytes / 2);
    return fails();
}

ssize_t writev(int file, const struct iovec *parts, int count)
{
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    if (!chosen_open("writev", file))
        return real(file, parts, count);
    if (!error)
        real(file, parts, count / 2);
    return fails();
}

#define ON_PATH(name, folder, path, parameters, arguments, ...) \
    int name parameters \
    { \
        REAL(int, #name, __VA_ARGS__); \
        return chosen_at(#name, folder, path) ? fails() : real arguments; \
    }

ON_PATH(rename, AT_FDCWD, from, (const char *from, const char *to), (from, to), const char *, const char *)
ON_PATH(mkdir, AT_FDCWD, path, (const char *path, mode_t mode), (path, mode), const char *, mode_t)
ON_PATH(unlink, AT_FDCWD, path, (const char *path), (path), const char *)
ON_PATH(unlinkat, folder, path, (int folder, const char *path, int flags), (folder, path, flags), int, const char *, int)
ON_PATH(linkat, folder, from, (int folder, const char *from, int other, const char *to, int flags), (folder, from, other, to, flags), int, const char *, int, const char *, int)

/* All of them are one system call. */
#define OPENING(name) \
    int name(const char *path, int flags, ...) \
    { \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; \
        va_end(more); \
        REAL(int, #name, const char *, int, ...); \
        return chosen("openat", path) ? fails() : real(path, flags, mode); \
    }

OPENING(open)
OPENING(open64)

int openat64(int folder, const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0;
    va_end(more);
    REAL(int, "openat64", int, const char *, int, ...);
    return chosen_at("openat", folder, path) ? fails() : real(folder, path, flags, mode);
}

DIR *opendir(const char *path)
{
    REAL(DIR *, "opendir", const char *);
    if (!chosen("openat", path))
        return real(path);
    fails();
    return NULL;
}
