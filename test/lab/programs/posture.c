/* Prints as one JSON object what holds down the process that it is run as, and stays until its input ends. Nothing is judged here. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>
#include <unistd.h>

extern char **environ;

static const char *const namespaces[] = { "cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts", NULL };

/* Texts of the kernel, each as it is or as the name of the error that it gives. */
static const char *const texts[] = {
    "/proc/self/status", "/proc/1/status", "/proc/self/mountinfo", "/proc/self/oom_score_adj", "/proc/1/oom_score_adj",
    "/proc/self/uid_map", "/proc/self/gid_map", "/proc/1/cmdline", "/proc/sys/net/ipv4/ip_unprivileged_port_start",
    "/proc/net/dev", "/proc/net/route", "/proc/net/ipv6_route", "/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp",
    "/proc/net/udp6", "/proc/net/raw", "/proc/net/raw6", "/proc/net/unix", "/proc/net/packet",
    "/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes",
    "/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us", "/sys/fs/cgroup/pids/pids.max",
    "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.swap.max", "/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/pids.max",
    "/etc/hosts", "/etc/resolv.conf", "/etc/hostname", NULL
};

/* What an engine hides because it tells about the machine or acts on it. */
static const char *const hidden[] = { "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
                                      "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi",
                                      "/sys/firmware", NULL };

static const struct {
    const char *name;
    int number;
} limits[] = {
    { "as", RLIMIT_AS },           { "core", RLIMIT_CORE },     { "cpu", RLIMIT_CPU },           { "data", RLIMIT_DATA },
    { "fsize", RLIMIT_FSIZE },     { "locks", RLIMIT_LOCKS },   { "memlock", RLIMIT_MEMLOCK },   { "msgqueue", RLIMIT_MSGQUEUE },
    { "nice", RLIMIT_NICE },       { "nofile", RLIMIT_NOFILE }, { "nproc", RLIMIT_NPROC },       { "rss", RLIMIT_RSS },
    { "rtprio", RLIMIT_RTPRIO },   { "rttime", RLIMIT_RTTIME }, { "sigpending", RLIMIT_SIGPENDING }, { "stack", RLIMIT_STACK },
};

static void print_text(const char *text, size_t length)
{
    putchar('"');
    for (size_t at = 0; at < length; at++) {
        unsigned char one = (unsigned char)text[at];
        if (one == '"' || one == '\\')
            printf("\\%c", one);
        else if (one < 0x20 || one > 0x7e)
            printf("\\u%04x", one);
        else
            putchar(one);
    }
    putchar('"');
}

static void print_string(const char *text)
{
    print_text(text, strlen(text));
}

/* A list's comma, before every member but the first. */
static void separate(int *members)
{
    if ((*members)++ > 0)
        putchar(',');
}

static void print_file(const char *path)
{
    static char text[1 << 20];
    size_t length = 0;
    ssize_t got;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        printf("{\"error\":%d}", errno);
        return;
    }
    while (length < sizeof text && (got = read(fd, text + length, sizeof text - length)) > 0)
        length += (size_t)got;
    close(fd);
    print_text(text, length);
}

static void print_link(const char *path)
{
    char target[PATH_MAX];
    ssize_t length = readlink(path, target, sizeof target);
    print_text(target, length < 0 ? 0 : (size_t)length);
}

static void print_namespaces(void)
{
    int members = 0;
    printf("\"namespaces\":{");
    for (const char *const *name = namespaces; *name != NULL; name++) {
        char path[64];
        snprintf(path, sizeof path, "/proc/self/ns/%s", *name);
        separate(&members);
        printf("\"%s\":", *name);
        print_link(path);
    }
    putchar('}');
}

static void print_texts(void)
{
    int members = 0;
    printf(",\"texts\":{");
    for (const char *const *path = texts; *path != NULL; path++) {
        separate(&members);
        print_string(*path);
        putchar(':');
        print_file(*path);
    }
    putchar('}');
}

static void print_limit(rlim_t value)
{
    if (value == RLIM_INFINITY)
        printf("\"unlimited\"");
    else
        printf("%llu", (unsigned long long)value);
}

static void print_limits(void)
{
    int members = 0;
    printf(",\"limits\":{");
    for (size_t at = 0; at < sizeof limits / sizeof *limits; at++) {
        struct rlimit limit;
        if (getrlimit(limits[at].number, &limit) != 0)
            continue;
        separate(&members);
        printf("\"%s\":[", limits[at].name);
        print_limit(limit.rlim_cur);
        putchar(',');
        print_limit(limit.rlim_max);
        putchar(']');
    }
    putchar('}');
}

static void print_environment(void)
{
    int members = 0;
    printf(",\"environment\":[");
    for (char **entry = environ; *entry != NULL; entry++) {
        separate(&members);
        print_string(*entry);
    }
    putchar(']');
}

/* Before anything is opened. Descriptors are found by asking for each number: a directory would add its own. */
static void print_descriptors(void)
{
    int members = 0;
    printf(",\"descriptors\":{");
    for (int fd = 0; fd < 4096; fd++) {
        char path[64];
        if (fcntl(fd, F_GETFD) < 0)
            continue;
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        separate(&members);
        printf("\"%d\":", fd);
        print_link(path);
    }
    putchar('}');
}

static void print_names(void)
{
    struct utsname name;
    uname(&name);
    printf(",\"hostname\":");
    print_string(name.nodename);
    printf(",\"domainname\":");
    print_string(name.domainname);
}

/* `absent`, `shut` when it can't be opened, `empty` when nothing comes out of it, or `open`. */
static const char *openness(const char *path)
{
    struct stat about;
    char byte;
    const char *state = "empty";
    if (stat(path, &about) != 0)
        return errno == ENOENT ? "absent" : "shut";
    if (S_ISDIR(about.st_mode)) {
        struct dirent *entry;
        DIR *directory = opendir(path);
        if (directory == NULL)
            return "shut";
        while ((entry = readdir(directory)) != NULL)
            if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                state = "open";
        closedir(directory);
        return state;
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return "shut";
    if (read(fd, &byte, 1) > 0)
        state = "open";
    close(fd);
    return state;
}

static void print_hidden(void)
{
    int members = 0;
    printf(",\"hidden\":{");
    for (const char *const *path = hidden; *path != NULL; path++) {
        separate(&members);
        printf("\"%s\":\"%s\"", *path, openness(*path));
    }
    putchar('}');
}

enum question { WRITABLE_DIRECTORIES, WRITABLE_FILES, DEVICES, SET_ID_FILES, SOCKETS };

static int is_answer(enum question question, const char *path, const struct stat *about)
{
    switch (question) {
    case WRITABLE_DIRECTORIES:
        return S_ISDIR(about->st_mode) && access(path, W_OK) == 0;
    case WRITABLE_FILES:
        return !S_ISDIR(about->st_mode) && !S_ISLNK(about->st_mode) && access(path, W_OK) == 0;
    case DEVICES:
        return S_ISCHR(about->st_mode) || S_ISBLK(about->st_mode);
    case SET_ID_FILES:
        return S_ISREG(about->st_mode) && (about->st_mode & (S_ISUID | S_ISGID)) != 0;
    case SOCKETS:
        return S_ISSOCK(about->st_mode) || S_ISFIFO(about->st_mode);
    }
    return 0;
}

static void print_answer(const char *path, const struct stat *about)
{
    char text[PATH_MAX + 64];
    if (S_ISCHR(about->st_mode) || S_ISBLK(about->st_mode))
        snprintf(text, sizeof text, "%s %c %u:%u", path, S_ISCHR(about->st_mode) ? 'c' : 'b', major(about->st_rdev),
                 minor(about->st_rdev));
    else
        snprintf(text, sizeof text, "%s", path);
    print_string(text);
}

/* Processes come and go, and their directories show each one to itself: they are read by name above. */
static int is_process(const char *directory, const char *name)
{
    return strcmp(directory, "/proc") == 0 && ((name[0] >= '0' && name[0] <= '9') || strstr(name, "self") != NULL);
}

/* Everything that can be reached, on every file system. */
static void walk(const char *directory, enum question question, int *members)
{
    struct dirent *entry;
    DIR *open_directory = opendir(directory);
    if (open_directory == NULL)
        return;
    while ((entry = readdir(open_directory)) != NULL) {
        char path[PATH_MAX];
        struct stat about;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 || is_process(directory, entry->d_name))
            continue;
        snprintf(path, sizeof path, "%s/%s", strcmp(directory, "/") == 0 ? "" : directory, entry->d_name);
        if (lstat(path, &about) != 0)
            continue;
        if (is_answer(question, path, &about)) {
            separate(members);
            print_answer(path, &about);
        }
        if (S_ISDIR(about.st_mode))
            walk(path, question, members);
    }
    closedir(open_directory);
}

static void print_walk(const char *name, enum question question)
{
    int members = 0;
    printf(",\"%s\":[", name);
    walk("/", question, &members);
    putchar(']');
}

int main(void)
{
    char byte;
    setvbuf(stdout, NULL, _IOFBF, 1 << 16);
    putchar('{');
    print_namespaces();
    print_descriptors();
    print_texts();
    print_limits();
    print_environment();
    print_names();
    print_hidden();
    print_walk("writableDirectories", WRITABLE_DIRECTORIES);
    print_walk("writableFiles", WRITABLE_FILES);
    print_walk("devices", DEVICES);
    print_walk("setIdFiles", SET_ID_FILES);
    print_walk("sockets", SOCKETS);
    printf("}\n");
    if (fflush(stdout) != 0)
        return 1;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    return 0;
}
