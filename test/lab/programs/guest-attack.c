/* What a task may try against process 1 of its sandbox, which has the same user. `guest-attack pry PID` prints a line for each way
 * into a process: `ok`, or the number of the error; 0 is a process of its own that does nothing to protect itself. The other words
 * are attacks that are over with status 7 when the attacker is still there. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define NR_PIDFD_OPEN 434
#define NR_PIDFD_GETFD 438

enum { DONE = 7 };

static void say(const char *name, long result)
{
    if (result < 0)
        printf("%s: error %d\n", name, errno);
    else
        printf("%s: ok\n", name);
}

/* Opening is not enough: some files of the kernel refuse only what follows. */
static long try_file(const char *path, int how)
{
    char bytes[8];
    int fd = open(path, how | O_NONBLOCK);
    if (fd < 0)
        return -1;
    long result = how == O_WRONLY ? 0 : read(fd, bytes, sizeof bytes);
    return result < 0 && errno == EAGAIN ? 0 : result;
}

static long try_write(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    return fd < 0 ? -1 : write(fd, text, strlen(text));
}

static long try_link(const char *path)
{
    char target[4096];
    return readlink(path, target, sizeof target);
}

static long try_directory(const char *path)
{
    DIR *directory = opendir(path);
    return directory == NULL ? -1 : 0;
}

/* The first byte that is mapped: it is there to be read in every process. */
static long try_memory(const char *directory)
{
    char path[64], byte;
    unsigned long start = 0;
    snprintf(path, sizeof path, "%s/maps", directory);
    FILE *maps = fopen(path, "r");
    if (maps == NULL || fscanf(maps, "%lx", &start) != 1)
        return -1;
    snprintf(path, sizeof path, "%s/mem", directory);
    int fd = open(path, O_RDWR);
    return fd < 0 || pread(fd, &byte, 1, (off_t)start) != 1 || pwrite(fd, &byte, 1, (off_t)start) != 1 ? -1 : 0;
}

static void pry_files(const char *directory)
{
    static const struct {
        const char *name;
        int how;
    } files[] = { { "fd/0", O_RDONLY }, { "fd/1", O_WRONLY }, { "fd/2", O_WRONLY }, { "mem", O_RDWR }, { "environ", O_RDONLY },
                  { "maps", O_RDONLY }, { "smaps", O_RDONLY }, { "auxv", O_RDONLY }, { "pagemap", O_RDONLY }, { "io", O_RDONLY } };
    static const char *const links[] = { "cwd", "exe", "root", "ns/mnt", "fd/1" };
    static const char *const directories[] = { "fd", "fdinfo", "map_files" };
    static const struct {
        const char *name, *text;
    } writes[] = { { "oom_score_adj", "1000" }, { "clear_refs", "1" }, { "coredump_filter", "0" } };
    char path[64], name[64];

    for (size_t at = 0; at < sizeof files / sizeof *files; at++) {
        snprintf(path, sizeof path, "%s/%s", directory, files[at].name);
        snprintf(name, sizeof name, "open %s", files[at].name);
        say(name, files[at].how == O_RDWR ? open(path, O_RDWR) : try_file(path, files[at].how));
    }
    for (size_t at = 0; at < sizeof links / sizeof *links; at++) {
        snprintf(path, sizeof path, "%s/%s", directory, links[at]);
        snprintf(name, sizeof name, "follow %s", links[at]);
        say(name, try_link(path));
    }
    for (size_t at = 0; at < sizeof directories / sizeof *directories; at++) {
        snprintf(path, sizeof path, "%s/%s", directory, directories[at]);
        snprintf(name, sizeof name, "list %s", directories[at]);
        say(name, try_directory(path));
    }
    for (size_t at = 0; at < sizeof writes / sizeof *writes; at++) {
        snprintf(path, sizeof path, "%s/%s", directory, writes[at].name);
        snprintf(name, sizeof name, "write %s", writes[at].name);
        say(name, try_write(path, writes[at].text));
    }
    say("change memory", try_memory(directory));
}

static void pry_calls(pid_t target)
{
    static char byte;
    struct iovec here = { &byte, 1 };
    say("pidfd_getfd", syscall(NR_PIDFD_GETFD, syscall(NR_PIDFD_OPEN, target, 0), 1, 0));
    say("process_vm_readv", syscall(SYS_process_vm_readv, target, &here, 1UL, &here, 1UL, 0UL));
    say("ptrace", ptrace(PTRACE_SEIZE, target, 0, 0));
}

static int pry(pid_t target)
{
    char directory[32];
    pid_t own = 0;
    if (target == 0) {
        own = target = fork();
        if (own == 0)
            for (;;)
                pause();
    }
    snprintf(directory, sizeof directory, "/proc/%d", (int)target);
    pry_files(directory);
    pry_calls(target);
    if (own > 0)
        kill(own, SIGKILL);
    return fflush(stdout) == 0 ? 0 : 1;
}

/* Takes everything of one resource away from process 1, which the kernel lets every process of the same user do. */
static int starve(int resource)
{
    struct rlimit nothing = { 0, 0 };
    return prlimit(1, (__typeof__(RLIMIT_CPU))resource, &nothing, NULL) == 0 ? DONE : 1;
}

/* Lets process 1 run only when nobody else wants to, and wants to all the time. */
static int idle(void)
{
    struct sched_param lowest = { .sched_priority = 0 };
    /* musl's own functions for it only say ENOSYS. */
    if (syscall(SYS_sched_setscheduler, 1, SCHED_IDLE, &lowest) != 0 || setpriority(PRIO_PROCESS, 1, 19) != 0)
        return 1;
    for (int at = 0; at < 8 && fork() != 0; at++)
        continue;
    for (;;)
        continue;
}

/* Processes whose parent is gone when they end: process 1 has to bury them. */
static int orphan(int count)
{
    for (int at = 0; at < count; at++) {
        pid_t pid = fork();
        if (pid == 0)
            _exit(fork() < 0 ? 1 : 0);
        if (pid > 0 && waitpid(pid, NULL, 0) == pid)
            continue;
        /* No room: those that are there end by themselves. */
        at--;
    }
    return DONE;
}

/* Processes that nobody buries, as many as there may be. */
static int zombies(void)
{
    int count = 0;
    for (pid_t pid; (pid = fork()) >= 0; count++)
        if (pid == 0)
            _exit(0);
    return count > 0 && errno == EAGAIN ? DONE : 1;
}

static int terminals(int count)
{
    for (int at = 0; at < count; at++)
        if (open("/dev/ptmx", O_RDWR | O_NOCTTY) < 0)
            return 1;
    return DONE;
}

/* Writes into the standard output of every process but its own, over and over, after whoever started it is gone. */
static int haunt(void)
{
    if (fork() != 0)
        return DONE;
    setsid();
    for (;;) {
        for (pid_t pid = 1; pid < 400; pid++) {
            char path[64];
            snprintf(path, sizeof path, "/proc/%d/fd/1", (int)pid);
            if (pid != getpid())
                (void)try_write(path, "forged\n");
        }
        usleep(1000);
    }
}

int main(int argc, char **argv)
{
    const char *attack = argc > 1 ? argv[1] : "";
    int number = argc > 2 ? atoi(argv[2]) : 0;
    if (strcmp(attack, "pry") == 0)
        return pry(number);
    if (strcmp(attack, "starve") == 0)
        return starve(number);
    if (strcmp(attack, "idle") == 0)
        return idle();
    if (strcmp(attack, "orphan") == 0)
        return orphan(number);
    if (strcmp(attack, "zombies") == 0)
        return zombies();
    if (strcmp(attack, "terminals") == 0)
        return terminals(number);
    return strcmp(attack, "haunt") == 0 ? haunt() : 64;
}
