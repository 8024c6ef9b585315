#include "quiesce.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "output.h"
#include "stats.h"

enum { REAPED_PER_TURN = 256 };

static unsigned int asked;
/* STATS_REQUESTs that came behind a QUIESCE: what they ask for is what there was in all. */
static unsigned int counts;

bool reap(void)
{
	struct rusage usage;
	int status;
	for (int count = 0; count < REAPED_PER_TURN; count++) {
		pid_t pid = wait4(-1, &status, WNOHANG, &usage);
		if (pid <= 0)
			return false;
		commands_reaped(pid, status, &usage);
	}
	return true;
}

/* As process 1 the guest owns every process it can see. Elsewhere, which is for tests only, -1 would reach
 * the user's other processes, so it ends just the process groups of its commands. */
void kill_everything(void)
{
	if (getpid() == 1)
		(void)kill(-1, SIGKILL);
	else
		commands_kill();
}

/* Signal 0 also finds processes that somebody outside put into our namespace and reaps himself. */
static bool anything_left(void)
{
	if (getpid() == 1)
		return kill(-1, 0) == 0 || errno != ESRCH;
	return commands_alive();
}

void quiesce_begin(void)
{
	asked++;
}

bool quiescing(void)
{
	return asked > 0;
}

void quiesce_count(void)
{
	if (asked > 0)
		counts++;
	else
		stats_send();
}

/* Whether nothing is left, and everybody who asked for it knows. */
static bool end_everything(void)
{
	if (asked == 0)
		return true;
	if (anything_left()) {
		kill_everything();
		return false;
	}
	if (commands_unfinished())
		return false;
	while (asked > 0 && output_room() >= STEP_ROOM) {
		output_frame(0, QUIESCED, NULL, 0);
		asked--;
	}
	return asked == 0;
}

void quiesce_step(void)
{
	if (output_room() < STEP_ROOM || !end_everything())
		return;
	while (counts > 0 && output_room() >= STEP_ROOM) {
		stats_send();
		counts--;
	}
}
