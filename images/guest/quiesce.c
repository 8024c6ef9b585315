#include "quiesce.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "output.h"

enum { REAPED_PER_TURN = 256 };

static unsigned int asked;

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

void quiesce_step(void)
{
	if (asked == 0 || output_room() < STEP_ROOM)
		return;
	if (anything_left()) {
		kill_everything();
		return;
	}
	if (commands_unfinished())
		return;
	while (asked > 0 && output_room() >= STEP_ROOM) {
		output_frame(0, QUIESCED, NULL, 0);
		asked--;
	}
}
