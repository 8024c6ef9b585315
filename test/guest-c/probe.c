/* What a task would try against the guest: probe TARGET... prints one line for each attempt, "name ok" or "name errno".
 * TARGET is a process id, or "child" for an ordinary process of our own. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

static char marked[] = "marked";

static void tell(const char *name, long result)
{
	(void)printf(result < 0 ? "%s %s\n" : "%s ok\n", name, strerror(errno));
	(void)fflush(stdout);
}

static void try_open(pid_t target, const char *name, int flags)
{
	char path[64];
	(void)snprintf(path, sizeof path, "/proc/%d/%s", target, name);
	int fd = open(path, flags);
	tell(name, fd);
	if (fd >= 0)
		(void)close(fd);
}

static void try_memory(pid_t target)
{
	char byte;
	struct iovec here = { &byte, 1 };
	struct iovec there = { marked, 1 }; /* an address that a child of ours has too */
	tell("process_vm_readv", process_vm_readv(target, &here, 1, &there, 1, 0));
	tell("process_vm_writev", process_vm_writev(target, &here, 1, &there, 1, 0));
}

static void try_descriptors(pid_t target)
{
	int pidfd = (int)syscall(SYS_pidfd_open, target, 0);
	tell("pidfd_getfd", pidfd < 0 ? -1 : syscall(SYS_pidfd_getfd, pidfd, 1, 0));
}

static void try_ptrace(pid_t target)
{
	long result = ptrace(PTRACE_ATTACH, target, NULL, NULL);
	tell("ptrace", result);
	if (result < 0)
		return;
	(void)waitpid(target, NULL, __WALL);
	(void)ptrace(PTRACE_DETACH, target, NULL, NULL);
}

static void try_signals(pid_t target)
{
	for (int number = 1; number <= 64; number++) {
		if (number != SIGKILL)
			(void)kill(target, number);
	}
	(void)kill(target, SIGKILL);
}

static pid_t start_child(void)
{
	pid_t child = fork();
	while (child == 0)
		(void)pause();
	return child;
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 64;
	pid_t target = strcmp(argv[1], "child") == 0 ? start_child() : (pid_t)atoi(argv[1]);
	try_open(target, "fd/1", O_WRONLY);
	try_open(target, "fd/0", O_RDONLY);
	try_open(target, "mem", O_RDWR);
	try_open(target, "environ", O_RDONLY);
	try_open(target, "oom_score_adj", O_WRONLY);
	try_memory(target);
	try_descriptors(target);
	try_ptrace(target);
	try_signals(target);
	if (target != 1)
		tell("survived", waitpid(target, NULL, 0) == target ? -1 : 0);
	else
		tell("survived", kill(target, 0));
	return 0;
}
