/* Tries what a sandbox must refuse, each in a process of its own, and prints a line for each: what was tried, then `ok`, the
 * number of the error, or the signal that ended the process. What could do harm on a machine that lets it happen is asked with
 * arguments that the kernel rejects after its checks of privilege. Numbers on the command line, three for each, say which sockets
 * to try instead of all: a kernel that lets them be opened loads modules for many. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The same number on every architecture; older C libraries have no name for them. */
#define NR_IO_URING_SETUP 425
#define NR_IO_URING_ENTER 426
#define NR_IO_URING_REGISTER 427
#define NR_OPEN_TREE 428
#define NR_MOVE_MOUNT 429
#define NR_FSOPEN 430
#define NR_FSCONFIG 431
#define NR_FSMOUNT 432
#define NR_FSPICK 433
#define NR_PIDFD_OPEN 434
#define NR_CLONE3 435
#define NR_PIDFD_GETFD 438
#define NR_PROCESS_MADVISE 440
#define NR_MOUNT_SETATTR 442
#define NR_QUOTACTL_FD 443

#define NEW_TIME 0x80
#define NEW_CGROUP 0x02000000
#define NOWHERE "/there-is-none"
#define SCRATCH "/tmp/scratch"

static long result_of(long result)
{
    return result < 0 ? -errno : 0;
}

static long call(long number, long a, long b, long c)
{
    return result_of(syscall(number, a, b, c, 0L, 0L, 0L));
}

#define ADDRESS(value) ((long)(uintptr_t)(value))

/* Mounts. */

static long do_mount(void) { return result_of(syscall(SYS_mount, "none", SCRATCH, "tmpfs", 0UL, NULL)); }
static long do_remount(void) { return result_of(syscall(SYS_mount, NULL, "/", NULL, 32UL, NULL)); }
static long do_bind(void) { return result_of(syscall(SYS_mount, "/proc", SCRATCH, NULL, 4096UL, NULL)); }
static long do_umount(void) { return call(SYS_umount2, ADDRESS("/proc"), 2, 0); }
static long do_pivot_root(void) { return call(SYS_pivot_root, ADDRESS(SCRATCH), ADDRESS(SCRATCH), 0); }
static long do_fsopen(void) { return call(NR_FSOPEN, ADDRESS("tmpfs"), 0, 0); }
static long do_fsconfig(void) { return call(NR_FSCONFIG, -1, 6, 0); }
static long do_fsmount(void) { return call(NR_FSMOUNT, -1, 0, 0); }
static long do_fspick(void) { return call(NR_FSPICK, AT_FDCWD, ADDRESS("/"), 0); }
static long do_open_tree(void) { return call(NR_OPEN_TREE, AT_FDCWD, ADDRESS("/tmp"), 1); }
static long do_mount_setattr(void) { return result_of(syscall(NR_MOUNT_SETATTR, -1, "", 0x1000, (uint64_t[4]){ 1, 0, 0, 0 }, 32UL)); }
static long do_move_mount(void) { return result_of(syscall(NR_MOVE_MOUNT, -1, "", -1, "", 4UL)); }

/* Namespaces. */

static long do_unshare(long flag) { return call(SYS_unshare, flag, 0, 0); }

static long child_of(long pid)
{
    if (pid == 0)
        _exit(0);
    return result_of(pid);
}

static long do_clone(long flag) { return child_of(syscall(SYS_clone, flag | SIGCHLD, 0L, 0L, 0L, 0L)); }

static long do_clone3(long flag)
{
    uint64_t arguments[8] = { (uint64_t)flag, 0, 0, 0, SIGCHLD, 0, 0, 0 };
    return child_of(syscall(NR_CLONE3, arguments, sizeof arguments));
}

static long do_setns(void) { return call(SYS_setns, open("/proc/self/ns/mnt", O_RDONLY), 0, 0); }
static long do_chroot(void) { return call(SYS_chroot, ADDRESS("/tmp"), 0, 0); }

/* Other processes. */

static pid_t sleeper(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    return pid;
}

static long ended(pid_t pid, long result)
{
    kill(pid, SIGKILL);
    return result;
}

static long do_ptrace_first(void) { return result_of(ptrace(PTRACE_SEIZE, 1, 0, 0)); }

static long do_ptrace_child(void)
{
    pid_t child = sleeper();
    return ended(child, result_of(ptrace(PTRACE_SEIZE, child, 0, 0)));
}

static long transfer(long number, pid_t pid)
{
    static char byte;
    struct iovec place = { &byte, 1 };
    return result_of(syscall(number, pid, &place, 1UL, &place, 1UL, 0UL));
}

static long do_readv(void)
{
    pid_t child = sleeper();
    return ended(child, transfer(SYS_process_vm_readv, child));
}

static long do_writev(void)
{
    pid_t child = sleeper();
    return ended(child, transfer(SYS_process_vm_writev, child));
}

static long do_pidfd_getfd(void)
{
    pid_t child = sleeper();
    return ended(child, call(NR_PIDFD_GETFD, syscall(NR_PIDFD_OPEN, child, 0), 0, 0));
}

static long do_process_madvise(void)
{
    struct iovec place = { NULL, 0 };
    return result_of(syscall(NR_PROCESS_MADVISE, syscall(NR_PIDFD_OPEN, getpid(), 0), &place, 0UL, 20, 0UL));
}

static long do_kcmp(void) { return result_of(syscall(SYS_kcmp, getpid(), getpid(), 1, 0UL, 0UL)); }

static long do_move_pages(void) { return result_of(syscall(SYS_move_pages, getpid(), 0UL, NULL, NULL, NULL, 0)); }

/* Large parts of the kernel. */

static long do_bpf(void) { return call(SYS_bpf, 0, ADDRESS(((uint32_t[16]){ 2, 4, 4, 1 })), 64); }

static long do_perf(void)
{
    uint32_t attributes[32] = { 1, sizeof attributes, 0 };
    return result_of(syscall(SYS_perf_event_open, attributes, 0, -1, -1, 0UL));
}

static long do_userfaultfd(void) { return call(SYS_userfaultfd, O_CLOEXEC, 0, 0); }
static long do_add_key(void) { return result_of(syscall(SYS_add_key, "user", "probe", "x", 1UL, -1)); }
static long do_request_key(void) { return result_of(syscall(SYS_request_key, "user", "probe", NULL, -1)); }
static long do_keyctl(void) { return call(SYS_keyctl, 0, -3, 0); }
static long do_uring_setup(void) { return call(NR_IO_URING_SETUP, 1, ADDRESS(((char[256]){ 0 })), 0); }
static long do_uring_enter(void) { return call(NR_IO_URING_ENTER, -1, 0, 0); }
static long do_uring_register(void) { return call(NR_IO_URING_REGISTER, -1, 0, 0); }
static long do_fanotify(void) { return call(SYS_fanotify_init, 0, 0, 0); }
static long do_lookup_dcookie(void) { return call(SYS_lookup_dcookie, 0, 0, 0); }
static long do_vmsplice(void) { return call(SYS_vmsplice, -1, 0, 0); }

static long do_open_by_handle(void)
{
    struct { unsigned int bytes; int type; unsigned char handle[8]; } handle = { 8, 1, { 2 } };
    return call(SYS_open_by_handle_at, AT_FDCWD, ADDRESS(&handle), O_RDONLY);
}

static long do_name_to_handle(void)
{
    struct { unsigned int bytes; int type; unsigned char handle[128]; } handle = { 128, 0, { 0 } };
    int mount_id;
    return result_of(syscall(SYS_name_to_handle_at, AT_FDCWD, "/tmp", &handle, &mount_id, 0));
}

/* The machine. Wrong arguments on purpose: see above. */

static long do_kexec_load(void) { return result_of(syscall(SYS_kexec_load, 0UL, 0UL, NULL, ~0UL)); }
static long do_kexec_file_load(void) { return result_of(syscall(SYS_kexec_file_load, -1, -1, 0UL, NULL, ~0UL)); }
static long do_init_module(void) { return call(SYS_init_module, ADDRESS("no module"), 9, ADDRESS("")); }
static long do_finit_module(void) { return call(SYS_finit_module, -1, ADDRESS(""), 0); }
static long do_delete_module(void) { return call(SYS_delete_module, ADDRESS("there_is_none"), O_NONBLOCK, 0); }
static long do_quotactl(void) { return result_of(syscall(SYS_quotactl, 0x80000200, NOWHERE, 0, NULL)); }
static long do_quotactl_fd(void) { return result_of(syscall(NR_QUOTACTL_FD, -1, 0x80000200, 0, NULL)); }
static long do_swapon(void) { return call(SYS_swapon, ADDRESS(NOWHERE), 0, 0); }
static long do_swapoff(void) { return call(SYS_swapoff, ADDRESS(NOWHERE), 0, 0); }
static long do_reboot(void) { return call(SYS_reboot, 1, 2, 3); }
static long do_acct(void) { return call(SYS_acct, ADDRESS(NOWHERE), 0, 0); }
static long do_syslog(void) { return call(SYS_syslog, 3, ADDRESS(((char[16]){ 0 })), 16); }
static long do_settimeofday(void) { return call(SYS_settimeofday, ADDRESS(((struct timeval[]){ { 0, -1 } })), 0, 0); }
static long do_clock_settime(void) { return call(SYS_clock_settime, CLOCK_REALTIME, ADDRESS(((struct timespec[]){ { 0, -1 } })), 0); }
static long do_adjtimex(void) { return call(SYS_adjtimex, ADDRESS(((struct timex[]){ { .modes = ADJ_TICK, .tick = -1 } })), 0, 0); }
static long do_sethostname(void) { return call(SYS_sethostname, ADDRESS("probe"), 5, 0); }
static long do_setdomainname(void) { return call(SYS_setdomainname, ADDRESS("probe"), 5, 0); }
static long do_vhangup(void) { return setsid() < 0 ? result_of(-1) : call(SYS_vhangup, 0, 0, 0); }
static long do_personality(long persona) { return call(SYS_personality, persona, 0, 0); }

static long do_mknod(long kind)
{
    dev_t device = kind == S_IFBLK ? makedev(7, 0) : makedev(1, 1);
    return result_of(mknod(kind == S_IFBLK ? "/tmp/block" : "/tmp/character", (mode_t)kind | 0600, device));
}

static long do_setuid(void) { return result_of(syscall(SYS_setuid, 0)); }

/* Terminals. The high half of a request is cut off by the kernel. */

static long do_terminal(long request)
{
    char name[64], subcode = 2;
    int unlocked = 0, number = 0, master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    if (master < 0 || ioctl(master, TIOCSPTLCK, &unlocked) != 0 || ioctl(master, TIOCGPTN, &number) != 0)
        return -ENODEV;
    snprintf(name, sizeof name, "/dev/pts/%d", number);
    setsid();
    return call(SYS_ioctl, open(name, O_RDWR), request, ADDRESS(&subcode));
}

/* Other ways into the kernel. */

#if defined(__x86_64__)
static long enter_as_i386(void)
{
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
    return result < 0 ? result : 0;
}

static long enter_as_x32(void) { return call(0x40000000 + SYS_getpid, 0, 0, 0); }
#endif

/* Sockets. */

struct socket_kind {
    int64_t family, type, protocol;
};

static long do_socket(const struct socket_kind *kind)
{
    return result_of(syscall(SYS_socket, kind->family, kind->type, kind->protocol));
}

static long do_socketpair(const struct socket_kind *kind)
{
    int ends[2];
    return result_of(syscall(SYS_socketpair, kind->family, kind->type, kind->protocol, ends));
}

/* The lists. */

static const struct {
    const char *name;
    long (*attempt)(void);
} attempts[] = {
    { "mount", do_mount }, { "mount remount", do_remount }, { "mount bind", do_bind }, { "umount2", do_umount },
    { "pivot_root", do_pivot_root }, { "fsopen", do_fsopen }, { "fsconfig", do_fsconfig }, { "fsmount", do_fsmount },
    { "fspick", do_fspick }, { "open_tree", do_open_tree }, { "mount_setattr", do_mount_setattr }, { "move_mount", do_move_mount },
    { "setns", do_setns }, { "chroot", do_chroot }, { "ptrace process 1", do_ptrace_first }, { "ptrace a child", do_ptrace_child },
    { "process_vm_readv", do_readv }, { "process_vm_writev", do_writev }, { "pidfd_getfd", do_pidfd_getfd },
    { "process_madvise", do_process_madvise }, { "kcmp", do_kcmp }, { "move_pages", do_move_pages }, { "bpf", do_bpf },
    { "perf_event_open", do_perf }, { "userfaultfd", do_userfaultfd }, { "add_key", do_add_key }, { "request_key", do_request_key },
    { "keyctl", do_keyctl }, { "io_uring_setup", do_uring_setup }, { "io_uring_enter", do_uring_enter },
    { "io_uring_register", do_uring_register }, { "fanotify_init", do_fanotify }, { "lookup_dcookie", do_lookup_dcookie },
    { "vmsplice", do_vmsplice }, { "open_by_handle_at", do_open_by_handle }, { "name_to_handle_at", do_name_to_handle },
    { "kexec_load", do_kexec_load }, { "kexec_file_load", do_kexec_file_load }, { "init_module", do_init_module },
    { "finit_module", do_finit_module }, { "delete_module", do_delete_module }, { "quotactl", do_quotactl },
    { "quotactl_fd", do_quotactl_fd }, { "swapon", do_swapon }, { "swapoff", do_swapoff }, { "reboot", do_reboot }, { "acct", do_acct },
    { "syslog", do_syslog }, { "settimeofday", do_settimeofday }, { "clock_settime", do_clock_settime }, { "adjtimex", do_adjtimex },
    { "sethostname", do_sethostname }, { "setdomainname", do_setdomainname }, { "vhangup", do_vhangup }, { "setuid", do_setuid },
#if defined(__x86_64__)
    { "entry i386", enter_as_i386 }, { "entry x32", enter_as_x32 },
#endif
};

static const struct {
    const char *name;
    long (*attempt)(long);
    long argument;
} with_argument[] = {
    { "personality 32-bit addresses", do_personality, 0x0800000 }, { "personality no randomisation", do_personality, 0x0040000 },
    { "personality readable is executable", do_personality, 0x0400000 }, { "mknod character", do_mknod, S_IFCHR },
    { "mknod block", do_mknod, S_IFBLK }, { "TIOCSTI", do_terminal, 0x5412 }, { "TIOCSTI high", do_terminal, 0x100005412 },
    { "TIOCLINUX", do_terminal, 0x541c }, { "TIOCLINUX high", do_terminal, 0x10000541c },
};

static const struct {
    const char *name;
    long flag;
} namespaces[] = {
    { "CLONE_NEWNS", CLONE_NEWNS }, { "CLONE_NEWCGROUP", NEW_CGROUP }, { "CLONE_NEWUTS", CLONE_NEWUTS }, { "CLONE_NEWIPC", CLONE_NEWIPC },
    { "CLONE_NEWUSER", CLONE_NEWUSER }, { "CLONE_NEWPID", CLONE_NEWPID }, { "CLONE_NEWNET", CLONE_NEWNET }, { "CLONE_NEWTIME", NEW_TIME },
};

static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_RAW, SOCK_SEQPACKET, 10 };

/* Protocols of the families that are open in part, and numbers of which the kernel takes a part only. */
static const struct socket_kind more_sockets[] = {
    { AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0 },
    { AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0 },
    { AF_INET, SOCK_STREAM, 6 }, { AF_INET, SOCK_DGRAM, 17 }, { AF_INET, SOCK_DGRAM, 1 }, { AF_INET6, SOCK_STREAM, 6 },
    { AF_INET6, SOCK_DGRAM, 17 }, { AF_INET6, SOCK_DGRAM, 58 }, { AF_INET, SOCK_STREAM, 132 }, { AF_INET, SOCK_SEQPACKET, 132 },
    { AF_INET, SOCK_STREAM, 262 }, { AF_INET, SOCK_STREAM, 256 }, { AF_INET, SOCK_DGRAM, 136 }, { AF_INET, 6, 33 },
    { AF_INET, SOCK_RAW, 1 }, { AF_INET, SOCK_RAW, 255 }, { AF_INET, SOCK_RAW | SOCK_CLOEXEC, 1 }, { AF_INET, 10, 3 },
    { AF_INET6, SOCK_RAW, 58 }, { AF_INET6, SOCK_RAW, 255 }, { AF_INET6, SOCK_STREAM, 132 }, { AF_INET6, SOCK_DGRAM, 115 },
    { AF_PACKET, SOCK_RAW, 0x0300 }, { AF_PACKET, SOCK_DGRAM, 0x0300 }, { AF_NETLINK, SOCK_RAW, 4 }, { AF_NETLINK, SOCK_RAW, 6 },
    { AF_NETLINK, SOCK_RAW, 9 }, { AF_NETLINK, SOCK_RAW, 10 }, { AF_NETLINK, SOCK_RAW, 12 }, { AF_NETLINK, SOCK_RAW, 15 },
    { AF_NETLINK, SOCK_RAW, 16 }, { AF_NETLINK, SOCK_RAW, 20 }, { AF_NETLINK, SOCK_RAW, 21 },
    { 0x100000000 + 40, SOCK_STREAM, 0 }, { 0x100000000 + AF_PACKET, SOCK_RAW, 0 }, { AF_INET, 0x100000000 + SOCK_RAW, 1 },
    { AF_INET, SOCK_STREAM, 0x100000000 + 132 },
};

/* One attempt; which one it is depends on what is not NULL. */
struct attempt {
    const char *name;
    long (*plain)(void);
    long (*with)(long);
    long argument;
    long (*open)(const struct socket_kind *);
    const struct socket_kind *kind;
};

static long make(const struct attempt *attempt)
{
    if (attempt->plain != NULL)
        return attempt->plain();
    return attempt->with != NULL ? attempt->with(attempt->argument) : attempt->open(attempt->kind);
}

/* The process of the attempt writes its result to shared memory, since a status holds eight bits only. */
static void report(const struct attempt *attempt)
{
    static long *result;
    int status;
    if (result == NULL)
        result = mmap(NULL, sizeof *result, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    fflush(stdout);
    *result = 1;
    pid_t pid = fork();
    if (pid == 0) {
        /* Where mounts and names may be changed, they are changed for this attempt only. */
        (void)syscall(SYS_unshare, CLONE_NEWNS | CLONE_NEWUTS);
        *result = make(attempt);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        exit(1);
    if (WIFSIGNALED(status))
        printf("%s: signal %d\n", attempt->name, WTERMSIG(status));
    else if (*result < 0)
        printf("%s: error %ld\n", attempt->name, -*result);
    else
        printf("%s: ok\n", attempt->name);
}

static void report_socket(const char *call, long (*open)(const struct socket_kind *), const struct socket_kind *kind)
{
    char name[96];
    snprintf(name, sizeof name, "%s %lld %lld %lld", call, (long long)kind->family, (long long)kind->type, (long long)kind->protocol);
    report(&(struct attempt){ .name = name, .open = open, .kind = kind });
}

static void report_namespaces(const char *call, long (*attempt)(long))
{
    for (size_t at = 0; at < sizeof namespaces / sizeof *namespaces; at++) {
        char name[64];
        /* In clone's flags the bit is a part of the signal's number. */
        if (attempt == do_clone && namespaces[at].flag == NEW_TIME)
            continue;
        snprintf(name, sizeof name, "%s %s", call, namespaces[at].name);
        report(&(struct attempt){ .name = name, .with = attempt, .argument = namespaces[at].flag });
    }
}

static void report_sockets(void)
{
    for (int family = 0; family <= 45; family++) {
        for (size_t at = 0; at < sizeof types / sizeof *types; at++) {
            struct socket_kind kind = { family, types[at], 0 };
            report_socket("socket", do_socket, &kind);
        }
        report_socket("socketpair", do_socketpair, &(struct socket_kind){ family, SOCK_STREAM, 0 });
    }
    for (size_t at = 0; at < sizeof more_sockets / sizeof *more_sockets; at++)
        report_socket("socket", do_socket, &more_sockets[at]);
}

int main(int argc, char **argv)
{
    (void)mkdir(SCRATCH, 0700);
    for (size_t at = 0; at < sizeof attempts / sizeof *attempts; at++)
        report(&(struct attempt){ .name = attempts[at].name, .plain = attempts[at].attempt });
    for (size_t at = 0; at < sizeof with_argument / sizeof *with_argument; at++)
        report(&(struct attempt){
            .name = with_argument[at].name, .with = with_argument[at].attempt, .argument = with_argument[at].argument });
    report_namespaces("unshare", do_unshare);
    report_namespaces("clone", do_clone);
    report_namespaces("clone3", do_clone3);
    report(&(struct attempt){ .name = "clone CLONE_NEWUSER high", .with = do_clone, .argument = CLONE_NEWUSER | 1L << 40 });
    for (int at = 1; at + 2 < argc; at += 3) {
        struct socket_kind kind = { atoll(argv[at]), atoll(argv[at + 1]), atoll(argv[at + 2]) };
        report_socket("socket", do_socket, &kind);
    }
    if (argc == 1)
        report_sockets();
    return fflush(stdout) == 0 ? 0 : 1;
}
