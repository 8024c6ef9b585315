/* Ways out of a command: `escape WAY MARKER [PID…]` leaves processes with MARKER in their command line, says `ready` once they are what
 * the way makes of them, and waits. With `stay` and `stubborn` there is nothing but the one that waits. */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RESOURCES = 16, RUNNERS = 8 };

typedef void way_function(char **others);

static void fail(const char *what)
{
    perror(what);
    _exit(1);
}

static void ignore_everything(void)
{
    for (int number = 1; number < NSIG; number++)
        (void)signal(number, SIG_IGN);
    (void)signal(SIGCHLD, SIG_DFL);
}

static pid_t fork_or_fail(void)
{
    pid_t pid = fork();
    if (pid < 0)
        fail("fork");
    return pid;
}

static void nothing_more(char **others)
{
    (void)others;
}

/* Takes on the limits of each other process as far as it can, up and down. */
static void imitate(char **others)
{
    for (; *others != NULL; others++) {
        for (int resource = 0; resource < RESOURCES; resource++) {
            struct rlimit theirs;
            if (prlimit(atoi(*others), resource, NULL, &theirs) != 0)
                fail("prlimit");
            (void)setrlimit(resource, &theirs);
        }
    }
}

/* What is needed to go on living is left. */
static void lower_everything(char **others)
{
    (void)others;
    for (int resource = 0; resource < RESOURCES; resource++) {
        struct rlimit none = { 0, 0 };
        if (resource != RLIMIT_CPU && resource != RLIMIT_AS && resource != RLIMIT_DATA && resource != RLIMIT_STACK)
            (void)setrlimit(resource, &none);
    }
}

/* One bound only, in the direction in which later or earlier commands lie. */
static void lower_rss(char **others)
{
    struct rlimit low = { 4096 * 1024, 4096 * 1024 };
    (void)others;
    if (setrlimit(RLIMIT_RSS, &low) != 0)
        fail("RLIMIT_RSS");
}

static void lower_locks(char **others)
{
    struct rlimit low = { 1, 1 };
    (void)others;
    (void)setrlimit(RLIMIT_LOCKS, &low);
    (void)setrlimit(RLIMIT_NPROC, &low);
}

/* Forked twice, in a session of its own, without a descriptor: the end of the pipe says that it is one. */
static void become_daemon(way_function *way, char **others)
{
    char byte;
    int ends[2];
    if (pipe(ends) != 0)
        fail("pipe");
    pid_t middle = fork_or_fail();
    if (middle == 0) {
        ignore_everything();
        if (setsid() < 0)
            fail("setsid");
        if (fork_or_fail() != 0)
            _exit(0);
        way(others);
        for (int fd = 0; fd < 1024; fd++)
            (void)close(fd);
        for (;;)
            (void)pause();
    }
    (void)close(ends[1]);
    if (read(ends[0], &byte, 1) != 0 || waitpid(middle, NULL, 0) != middle)
        fail("the daemon");
}

/* As many as there can be, each a session of its own, which make up for those that end. */
static void bomb(void)
{
    ignore_everything();
    (void)signal(SIGCHLD, SIG_IGN);
    for (int said = 0;;) {
        pid_t pid = fork();
        if (pid == 0)
            (void)setsid();
        if (pid < 0 && !said)
            said = write(STDOUT_FILENO, "ready\n", 6) == 6;
    }
}

/* Nobody stays for long: each hands over to a child of its own, and wakes who was stopped. */
static void relay(void)
{
    ignore_everything();
    for (int runner = 0; runner < RUNNERS; runner++) {
        if (fork_or_fail() != 0)
            continue;
        for (;;) {
            (void)kill(-1, SIGCONT);
            pid_t pid = fork();
            if (pid == 0)
                (void)setsid();
            if (pid > 0)
                _exit(0);
        }
    }
}

static void say_ready(void)
{
    if (write(STDOUT_FILENO, "ready\n", 6) != 6)
        fail("write");
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        way_function *way;
    } ways[] = { { "daemon", nothing_more }, { "imitate", imitate }, { "lower-all", lower_everything },
                 { "lower-rss", lower_rss }, { "lower-locks", lower_locks } };
    if (argc < 3)
        return 64;
    for (size_t at = 0; at < sizeof ways / sizeof *ways; at++) {
        if (strcmp(argv[1], ways[at].name) == 0)
            become_daemon(ways[at].way, argv + 3);
    }
    if (strcmp(argv[1], "stubborn") == 0)
        ignore_everything();
    if (strcmp(argv[1], "bomb") == 0)
        bomb();
    if (strcmp(argv[1], "relay") == 0)
        relay();
    say_ready();
    for (;;)
        (void)pause();
}
