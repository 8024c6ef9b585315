#include "spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "child.h"

/* Linux 4.13: opens the slave without a path, so that nothing in the image can stand in for it. */
#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

enum { STDOUT_BYTES = 256 * 1024 };

/* A pipe whose end `ours` does not block. */
static int open_pipe(int *ours, int *theirs, bool we_read)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) != 0)
		return errno;
	*ours = ends[we_read ? 0 : 1];
	*theirs = ends[we_read ? 1 : 0];
	return fcntl(*ours, F_SETFL, O_NONBLOCK) != 0 ? errno : 0;
}

static int open_slave(int master)
{
	char path[32];
	int unlocked = 0;
	int flags = O_RDWR | O_NOCTTY | O_CLOEXEC;
	if (ioctl(master, TIOCSPTLCK, &unlocked) != 0)
		return -1;
	int slave = ioctl(master, TIOCGPTPEER, flags);
	if (slave >= 0)
		return slave;
	return ptsname_r(master, path, sizeof path) == 0 ? open(path, flags) : -1;
}

static int open_nothing(int *fd)
{
	*fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return *fd < 0 ? errno : 0;
}

static int open_terminal(struct command *command, struct child_ends *ends)
{
	struct winsize size = { .ws_row = command->request.rows, .ws_col = command->request.columns };
	struct source *output = &command->output[STDOUT_SIDE];
	output->fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (output->fd < 0)
		return errno;
	if (ioctl(output->fd, TIOCSWINSZ, &size) != 0)
		return errno;
	ends->out = ends->err = open_slave(output->fd);
	if (ends->out < 0)
		return errno;
	if (!command->request.has_stdin)
		return open_nothing(&ends->in);
	ends->in = ends->out;
	/* A second number, because a descriptor can be watched for one purpose only. */
	command->input.fd = fcntl(output->fd, F_DUPFD_CLOEXEC, 3);
	return command->input.fd < 0 ? errno : 0;
}

static int open_pipes(struct command *command, struct child_ends *ends)
{
	int error = open_pipe(&command->output[STDOUT_SIDE].fd, &ends->out, true);
	if (error == 0)
		error = open_pipe(&command->output[STDERR_SIDE].fd, &ends->err, true);
	if (error != 0)
		return error;
	/* So that we are woken less often. The kernel may refuse: then it is the pipe that it was. */
	if (fcntl(command->output[STDOUT_SIDE].fd, F_SETPIPE_SZ, STDOUT_BYTES) < 0)
		errno = 0;
	if (command->request.has_stdin)
		return open_pipe(&command->input.fd, &ends->in, false);
	return open_nothing(&ends->in);
}

/* Before the fork: a command whose end could not be noticed must not begin. */
static int watch_all(struct command *command)
{
	int error = loop_watch(&command->report, WATCH_INPUT);
	command->input.writable = true;
	if (error == 0 && command->input.fd >= 0)
		error = loop_watch(&command->input, WATCH_OUTPUT);
	for (int side = 0; error == 0 && side < SIDES; side++) {
		if (command->output[side].fd >= 0)
			error = loop_watch(&command->output[side], WATCH_INPUT | WATCH_ONCE);
	}
	return error;
}

static void close_child_ends(struct child_ends *ends)
{
	if (ends->in != ends->out)
		close_fd(&ends->in);
	if (ends->err != ends->out)
		close_fd(&ends->err);
	close_fd(&ends->out);
	close_fd(&ends->report);
}

static void close_our_ends(struct command *command)
{
	loop_close(&command->report);
	loop_close(&command->input);
	for (int side = 0; side < SIDES; side++)
		loop_close(&command->output[side]);
}

static int start_child(struct command *command, const struct child_ends *ends)
{
	int error = watch_all(command);
	if (error != 0)
		return error;
	command->pid = fork();
	if (command->pid < 0) {
		command->pid = 0;
		return errno;
	}
	if (command->pid == 0)
		child_main(command->operation.id, &command->request, ends);
	command->alive = true;
	return 0;
}

int spawn(struct command *command)
{
	struct child_ends ends = { -1, -1, -1, -1 };
	int error = open_pipe(&command->report.fd, &ends.report, true);
	if (error == 0)
		error = command->request.terminal ? open_terminal(command, &ends) : open_pipes(command, &ends);
	if (error == 0)
		error = start_child(command, &ends);
	close_child_ends(&ends);
	if (error != 0)
		close_our_ends(command);
	return error;
}
