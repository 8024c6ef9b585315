#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mark.h"
#include "signals.h"
#include "spawn.h"

enum { REPORT_FD = 3, FIRST_FOREIGN_FD = 4, EXIT_NOT_STARTED = 127, MOST_FDS = 1 << 20 };

/* Linux 5.9; the same number on every architecture. Older C libraries have no name for it. */
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

_Noreturn static void report_failure(enum spawn_stage stage, int error)
{
	uint8_t report[SPAWN_REPORT_BYTES] = { (uint8_t)stage };
	put_u32(report + 1, (uint32_t)error);
	/* Shorter than PIPE_BUF, so it is written whole or, if the guest is gone, not at all. */
	ssize_t written = write(REPORT_FD, report, sizeof report);
	_exit(written < 0 ? EXIT_NOT_STARTED - 1 : EXIT_NOT_STARTED);
}

static void close_everything_else(void)
{
	struct rlimit limit;
	if (syscall(SYS_close_range, FIRST_FOREIGN_FD, ~0U, 0) == 0)
		return;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > MOST_FDS)
		limit.rlim_cur = MOST_FDS;
	for (int fd = FIRST_FOREIGN_FD; fd < (int)limit.rlim_cur; fd++)
		(void)close(fd);
}

static int put_descriptors_in_place(const struct child_ends *ends)
{
	if (dup2(ends->in, STDIN_FILENO) < 0 || dup2(ends->out, STDOUT_FILENO) < 0 || dup2(ends->err, STDERR_FILENO) < 0)
		return errno;
	if (ends->report == REPORT_FD)
		return 0;
	return dup3(ends->report, REPORT_FD, O_CLOEXEC) < 0 ? errno : 0;
}

/* The kernel's choice when memory runs out: the task before the guest. */
static void volunteer_for_oom(void)
{
	static const char highest[] = "1000";
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	ssize_t written = write(fd, highest, sizeof highest - 1);
	(void)written; /* best effort: some kernels have no such file or don't let us */
	(void)close(fd);
}

static const char *path_of(char *const envp[])
{
	for (; *envp != NULL; envp++) {
		if (strncmp(*envp, "PATH=", 5) == 0)
			return *envp + 5;
	}
	return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

/* ENOENT also means that the interpreter of an existing file is missing: that is not "not found". */
static int try_one(const char *path, char *const argv[], char *const envp[], exec_function *execute)
{
	(void)execute(path, argv, envp);
	int error = errno;
	if (error == ENOENT && access(path, F_OK) == 0)
		return ENOEXEC;
	return error;
}

/* EACCES also means that a directory of the PATH is closed to us, as root's own are in many images: nothing was found. */
static bool is_not_there(int error, const char *path)
{
	return error == ENOENT || error == ENOTDIR || (error == EACCES && access(path, F_OK) != 0);
}

int search_and_execute(char *const argv[], char *const envp[], exec_function *execute)
{
	char path[MAX_PATH];
	const char *name = argv[0];
	size_t name_length = strlen(name);
	int outcome = ENOENT;
	if (name_length == 0)
		return ENOENT;
	if (strchr(name, '/') != NULL)
		return try_one(name, argv, envp, execute);
	for (const char *at = path_of(envp);; at++) {
		size_t length = strcspn(at, ":");
		const char *directory = length == 0 ? "." : at;
		size_t prefix = length == 0 ? 1 : length;
		if (prefix + 1 + name_length < sizeof path) {
			memcpy(path, directory, prefix);
			path[prefix] = '/';
			memcpy(path + prefix + 1, name, name_length + 1);
			int error = try_one(path, argv, envp, execute);
			bool there = !is_not_there(error, path);
			if (there && error != EACCES)
				return error;
			if (there)
				outcome = EACCES;
		}
		at += length;
		if (*at == 0)
			return outcome;
	}
}

_Noreturn void child_main(uint32_t number, const struct request *request, const struct child_ends *ends)
{
	int error = put_descriptors_in_place(ends);
	/* From here on nothing in this process leads to the guest's pipe, so others may look into it. Before that they
	 * could take the pipe out of it and speak for the guest. */
	close_everything_else();
	if (error != 0)
		report_failure(SPAWN_RESOURCES, error);
	error = mark_self(number);
	if (error != 0)
		report_failure(SPAWN_RESOURCES, error);
	if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0)
		report_failure(SPAWN_RESOURCES, errno);
	volunteer_for_oom();
	if (setsid() < 0)
		report_failure(SPAWN_RESOURCES, errno);
	if (request->terminal && ioctl(STDOUT_FILENO, TIOCSCTTY, 0) != 0)
		report_failure(SPAWN_RESOURCES, errno);
	if (signals_restore() != 0)
		report_failure(SPAWN_RESOURCES, errno);
	(void)umask(022);
	if (chdir(request->directory) != 0)
		report_failure(SPAWN_DIRECTORY, errno);
	report_failure(SPAWN_EXECVE, search_and_execute(request->argv, request->envp, execve));
}
