#include "signals.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>

static int set_all(void (*handler)(int))
{
	struct sigaction action = { .sa_handler = handler };
	for (int number = 1; number < NSIG; number++) {
		if (number == SIGKILL || number == SIGSTOP)
			continue;
		/* The C library keeps a few real-time signals to itself and says EINVAL: nobody set those. */
		if (sigaction(number, &action, NULL) != 0 && errno != EINVAL)
			return -1;
	}
	return 0;
}

int signals_take_over(void)
{
	struct sigaction deliver = { .sa_handler = SIG_DFL };
	sigset_t child;
	/* Ignored rather than blocked: a blocked signal would wait in a queue that the task can fill. */
	if (set_all(SIG_IGN) != 0 || sigaction(SIGCHLD, &deliver, NULL) != 0)
		return -1;
	if (sigemptyset(&child) != 0 || sigaddset(&child, SIGCHLD) != 0)
		return -1;
	if (sigprocmask(SIG_SETMASK, &child, NULL) != 0)
		return -1;
	return signalfd(-1, &child, SFD_NONBLOCK | SFD_CLOEXEC);
}

int signals_restore(void)
{
	sigset_t none;
	if (set_all(SIG_DFL) != 0 || sigemptyset(&none) != 0)
		return -1;
	return sigprocmask(SIG_SETMASK, &none, NULL);
}
