/* The guest: process 1 of a sandbox. It has the task's own uid and no privilege, and one pipe to the host, its standard
 * input and output, on which it speaks docs/protocol.md. One process, one loop, nothing that waits. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault.h"
#include "loop.h"
#include "mark.h"
#include "operation.h"
#include "output.h"
#include "quiesce.h"
#include "session.h"
#include "signals.h"
#include "stats.h"
#include "sweep.h"

enum { EXIT_USAGE = 64 };

static struct source from_host = { .fd = STDIN_FILENO };
static struct source to_host = { .fd = STDOUT_FILENO };
static struct source children = { .fd = -1 };

static int answer_arguments(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--version") == 0)
		return printf("%d\n", PROTOCOL_VERSION) < 0 || fflush(stdout) != 0 ? 1 : 0;
	(void)fprintf(stderr, "This is the first process of a sandbox; it takes no argument but --version.\n");
	return EXIT_USAGE;
}

/* Numbers 0 to 2 must be taken: a pipe that got one of them would be overwritten in a child. */
static int fill_standard_descriptors(void)
{
	int fd;
	do {
		fd = fcntl(STDIN_FILENO, F_DUPFD, 0);
		if (fd < 0)
			return errno;
	} while (fd <= STDERR_FILENO);
	close_fd(&fd);
	return 0;
}

static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
		return errno;
	return 0;
}

static void need(int error, const char *what)
{
	if (error != 0)
		fault(error, what);
}

/* All that a stream may have under way fits into the pipe to the engine: a write that stops half-way goes on page by page. Not ours to insist on: it may be something else. */
static void widen(int fd, int bytes)
{
	if (fcntl(fd, F_SETPIPE_SZ, bytes) < 0)
		errno = 0;
}

static void set_up(void)
{
	need(fill_standard_descriptors(), "the standard descriptors");
	need(set_nonblocking(STDIN_FILENO), "standard input");
	need(set_nonblocking(STDOUT_FILENO), "standard output");
	widen(STDIN_FILENO, 262144);
	widen(STDOUT_FILENO, 1048576);
	children.fd = signals_take_over();
	need(children.fd < 0 ? errno : 0, "signals");
	need(loop_open(), "epoll");
	need(loop_watch(&from_host, WATCH_INPUT), "standard input");
	need(loop_watch(&to_host, WATCH_OUTPUT), "standard output");
	need(loop_watch(&children, WATCH_INPUT), "signals");
	need(stats_open(), "the timer");
	need(marks_open(), "the list of processes");
	to_host.writable = true;
	/* Modes are given in full where files are made; a child sets its own mask. */
	(void)umask(0);
	/* Best effort: a working directory below a writable place would keep it from being removed. */
	if (chdir("/") != 0)
		errno = 0;
}

static void take_signals(void)
{
	struct signalfd_siginfo info[8];
	if (!children.readable)
		return;
	while (read(children.fd, info, sizeof info) > 0)
		continue;
	children.readable = reap();
}

static void write_out(void)
{
	if (!to_host.writable || !output_pending())
		return;
	int error = output_flush(to_host.fd);
	if (error == EAGAIN)
		to_host.writable = false;
	else if (error != 0)
		finish();
}

/* The end of the input is normally read; not when frames before it wait for room that nobody will make. */
static bool host_is_gone(void)
{
	return to_host.broken || (from_host.hung_up && session_paused() && !to_host.writable);
}

static bool can_go_on(const struct source *input)
{
	if (children.readable)
		return true;
	return output_room() >= STEP_ROOM && (operations_waiting() || session_paused() || input->readable);
}

static int patience(void)
{
	if (can_go_on(&from_host))
		return 0;
	if (quiescing())
		return QUIESCE_RETRY_MS;
	return sweeping() ? SWEEP_RETRY_MS : -1;
}

int main(int argc, char **argv)
{
	/* Before anything else: the task has our uid, and /proc/1/fd/1 would be its way to speak for us. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
		return EXIT_FAULT;
	if (argc != 1)
		return answer_arguments(argc, argv);
	set_up();
	session_hello();
	for (;;) {
		write_out();
		need(loop_wait(patience()), "epoll");
		if (host_is_gone())
			finish();
		take_signals();
		stats_tick();
		session_read(&from_host);
		operations_run();
		quiesce_step();
		sweeps_step();
	}
}
