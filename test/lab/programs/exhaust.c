/*
 * exhaust WHAT [MOST [SECONDS]]: takes more and more of one resource until the kernel refuses, or until it has MOST of it, says what it got
 * and why it got no more, and keeps it for SECONDS. What has no end of its own (forks, spin) ends with the sandbox.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MEBIBYTE = 1024 * 1024 };

static void *rest(void *unused)
{
    for (;;)
        pause();
    return unused;
}

static bool thread(void)
{
    pthread_t made;
    pthread_attr_t small;
    if (pthread_attr_init(&small) != 0 || pthread_attr_setstacksize(&small, 16384) != 0)
        return false;
    errno = pthread_create(&made, &small, rest, NULL);
    return errno == 0;
}

static bool fill(void *memory)
{
    if (memory == MAP_FAILED)
        return false;
    memset(memory, 1, MEBIBYTE);
    return true;
}

static bool anonymous(void)
{
    return fill(mmap(NULL, MEBIBYTE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}

static bool memfd(void)
{
    int fd = memfd_create("exhaust", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, MEBIBYTE) != 0)
        return false;
    return fill(mmap(NULL, MEBIBYTE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
}

static bool descriptor(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0;
}

/* A pipe is full of pages that the kernel keeps for it. */
static bool full_pipe(void)
{
    static char page[4096];
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0)
        return false;
    while (write(ends[1], page, sizeof page) > 0)
        ;
    return true;
}

static bool terminal(void)
{
    return posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC) >= 0;
}

/* Nobody reaps it while this process lives. */
static bool zombie(void)
{
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    return child > 0;
}

/* Its parent is gone at once, so that it is left to process 1. */
static bool orphan(void)
{
    int ends[2];
    pid_t left = -1;
    int status;
    if (pipe(ends) != 0)
        return false;
    pid_t child = fork();
    if (child == 0) {
        left = fork();
        if (left == 0)
            _exit(0);
        _exit(write(ends[1], &left, sizeof left) != sizeof left || left < 0);
    }
    close(ends[1]);
    bool made = child > 0 && read(ends[0], &left, sizeof left) == sizeof left && left > 0;
    close(ends[0]);
    made = child > 0 && waitpid(child, &status, 0) == child && status == 0 && made;
    /* Until it is reaped it still has its number; on a busy machine process 1 needs its turn for that. */
    while (made && kill(left, 0) == 0)
        sched_yield();
    return made;
}

/* Outlives the command, in a session of its own, with the command's output still open. */
static bool daemonise(void)
{
    pid_t child = fork();
    if (child > 0)
        return waitpid(child, NULL, 0) == child;
    if (child == 0 && setsid() > 0 && fork() == 0)
        rest(NULL);
    _exit(0);
}

static bool file(void)
{
    static unsigned int number;
    char name[32];
    snprintf(name, sizeof name, "file-%u", number++);
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, 0600);
    return fd >= 0 && close(fd) == 0;
}

static bool directory(void)
{
    return mkdir("deeper", 0700) == 0 && chdir("deeper") == 0;
}

static bool byte(void)
{
    return write(STDOUT_FILENO, "x", 1) == 1;
}

/* A refusal does not stop it: every copy keeps trying. A file says that it has come to that. */
static bool forks(void)
{
    if (fork() < 0) {
        int said = open("/tmp/refused", O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        if (said >= 0)
            close(said);
    }
    return true;
}

static bool spin(void)
{
    return true;
}

static const struct {
    const char *what;
    bool (*take)(void);
} resources[] = {
    { "threads", thread },     { "anonymous", anonymous }, { "memfd", memfd },       { "descriptors", descriptor },
    { "pipes", full_pipe },    { "terminals", terminal },  { "zombies", zombie },    { "orphans", orphan },
    { "daemons", daemonise },  { "files", file },          { "directories", directory }, { "bytes", byte },
    { "forks", forks },        { "spin", spin },
};

int main(int argc, char **argv)
{
    unsigned long most = argc > 2 ? strtoul(argv[2], NULL, 10) : ULONG_MAX;
    for (size_t at = 0; argc > 1 && at < sizeof resources / sizeof *resources; at++) {
        if (strcmp(resources[at].what, argv[1]) != 0)
            continue;
        unsigned long count = 0;
        errno = 0;
        while (count < most && resources[at].take())
            count++;
        fprintf(stderr, "%s %lu: %s\n", argv[1], count, count < most ? strerror(errno) : "enough");
        if (argc > 3)
            sleep((unsigned int)strtoul(argv[3], NULL, 10));
        return 0;
    }
    return 64;
}
