/* Stands between a program and the C library, and has calls on some files fail when it is told to.

   FAULTS names a file with: the error, which calls, how many were made to fail, how many are let
   through first, how many fail then, and a part of the paths of the files. It is mapped, so a
   program that writes to it is heard at once. Instead of an error, 0 has the program killed. */

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { OPEN = 1, WRITE = 2, FLUSH = 4, TRUNCATE = 8, READ = 16, LOOK = 32 };

struct control {
    volatile int error;
    volatile unsigned calls;
    volatile int failed;
    volatile int spared;
    volatile int times;
    char part[128];
};

static struct control *control;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void map(void) {
    const char *path = getenv("FAULTS");
    int file = path ? REAL(open64)(path, O_RDWR) : -1;
    if (file < 0)
        return;
    void *mapped = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapped != MAP_FAILED)
        control = mapped;
    close(file);
}

static int fails(void) {
    if (!control->error)
        kill(getpid(), SIGKILL);
    errno = control->error;
    return 1;
}

static int is_meant(unsigned call, const char *path) {
    if (!control || !(control->calls & call) || !strstr(path, control->part))
        return 0;
    if (__sync_fetch_and_sub(&control->spared, 1) > 0 || __sync_fetch_and_sub(&control->times, 1) <= 0)
        return 0;
    __sync_fetch_and_add(&control->failed, 1);
    return 1;
}

static int is_meant_file(unsigned call, int file) {
    char link[64], path[4096];
    if (!control || !(control->calls & call))
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    return is_meant(call, path);
}

static int hits(unsigned call, const char *path) { return is_meant(call, path) && fails(); }

static int hits_file(unsigned call, int file) { return is_meant_file(call, file) && fails(); }

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    return hits(OPEN, path) ? -1 : REAL(open64)(path, flags, mode);
}

ssize_t write(int file, const void *bytes, size_t length) {
    if (!is_meant_file(WRITE, file))
        return REAL(write)(file, bytes, length);
    /* A disk takes what it has space for before it refuses the rest; a program dies in the middle. */
    ssize_t taken = -1;
    if ((control->error == ENOSPC || !control->error) && length > 1 && control->failed == 1)
        taken = REAL(write)(file, bytes, length / 2);
    return taken < 0 || !control->error ? (fails(), -1) : taken;
}

ssize_t pwrite64(int file, const void *bytes, size_t length, off64_t at) {
    return hits_file(WRITE, file) ? -1 : REAL(pwrite64)(file, bytes, length, at);
}

ssize_t read(int file, void *bytes, size_t length) {
    return hits_file(READ, file) ? -1 : REAL(read)(file, bytes, length);
}

ssize_t pread64(int file, void *bytes, size_t length, off64_t at) {
    return hits_file(READ, file) ? -1 : REAL(pread64)(file, bytes, length, at);
}

/* Reading and writing in one; it counts as a read. */
ssize_t copy_file_range(int from, off64_t *at, int to, off64_t *to_at, size_t length, unsigned flags) {
    return hits_file(READ, from) ? -1 : REAL(copy_file_range)(from, at, to, to_at, length, flags);
}

int fsync(int file) { return hits_file(FLUSH, file) ? -1 : REAL(fsync)(file); }

int fdatasync(int file) { return hits_file(FLUSH, file) ? -1 : REAL(fdatasync)(file); }

int ftruncate64(int file, off64_t length) {
    return hits_file(TRUNCATE, file) ? -1 : REAL(ftruncate64)(file, length);
}

int statx(int folder, const char *path, int flags, unsigned mask, struct statx *found) {
    /* Rust asks with no path whether there is such a call; the compiler takes that for impossible. */
    const char *volatile given = path;
    int fails = given && *given ? hits(LOOK, given) : hits_file(LOOK, folder);
    return fails ? -1 : REAL(statx)(folder, path, flags, mask, found);
}

DIR *opendir(const char *path) { return hits(LOOK, path) ? NULL : REAL(opendir)(path); }

struct dirent64 *readdir64(DIR *folder) {
    return hits_file(LOOK, dirfd(folder)) ? NULL : REAL(readdir64)(folder);
}

int rename(const char *from, const char *to) {
    return hits(WRITE, to) ? -1 : REAL(rename)(from, to);
}

int unlink(const char *path) { return hits(WRITE, path) ? -1 : REAL(unlink)(path); }

int mkdir(const char *path, mode_t mode) {
    return hits(WRITE, path) ? -1 : REAL(mkdir)(path, mode);
}

int rmdir(const char *path) { return hits(WRITE, path) ? -1 : REAL(rmdir)(path); }

int unlinkat(int folder, const char *path, int flags) {
    return hits_file(WRITE, folder) ? -1 : REAL(unlinkat)(folder, path, flags);
}
