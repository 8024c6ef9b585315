#include "sweep.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "command.h"
#include "fault.h"
#include "mark.h"
#include "output.h"
#include "quiesce.h"

enum { MOST_STOPS = 4, MOST_KILLS = 16 };

struct sweep {
	uint32_t number;
	struct sweep *next;
};

static struct sweep *sweeps;

void sweep_begin(uint32_t number)
{
	struct sweep *sweep = malloc(sizeof *sweep);
	if (sweep == NULL)
		fault(ENOMEM, "no memory for a sweep");
	*sweep = (struct sweep){ .number = number, .next = sweeps };
	sweeps = sweep;
}

bool sweeping(void)
{
	return sweeps != NULL;
}

static bool none(struct marked marked)
{
	return marked.missed == 0 && marked.count == 0;
}

static bool same(struct marked one, struct marked other)
{
	return one.missed == 0 && other.missed == 0 && one.count == other.count && one.sum == other.sum;
}

/* Those who died are taken off the list first: it is the shorter, and the faster gone through, the less can change meanwhile. */
static struct marked signal_once(uint32_t number, int signal)
{
	(void)reap();
	return mark_signal(number, signal);
}

/* Again and again, until those that are there are those that have had it. */
static void signal_all(uint32_t number, int signal, int most)
{
	struct marked before = signal_once(number, signal);
	for (int passes = 1; passes < most; passes++) {
		struct marked now = signal_once(number, signal);
		if (same(before, now))
			return;
		before = now;
	}
}

/* They are stopped before they are killed: a stopped process keeps its place below the limit of processes, so that its kind
 * can't multiply faster than it is found. */
static void kill_all(uint32_t number)
{
	signal_all(number, SIGSTOP, MOST_STOPS);
	signal_all(number, SIGKILL, MOST_KILLS);
}

/* Two looks, because one reads the list while it changes. They kill at once: it mostly is enough. */
static bool swept(uint32_t number)
{
	bool over = command_end(number);
	if (!none(signal_once(number, SIGKILL)) || !none(signal_once(number, SIGKILL))) {
		kill_all(number);
		return false;
	}
	return over;
}

void sweeps_step(void)
{
	struct sweep **at = &sweeps;
	while (*at != NULL && output_room() >= STEP_ROOM) {
		struct sweep *sweep = *at;
		uint8_t payload[4];
		if (!swept(sweep->number)) {
			at = &sweep->next;
			continue;
		}
		put_u32(payload, sweep->number);
		output_frame(0, SWEPT, payload, sizeof payload);
		*at = sweep->next;
		free(sweep);
	}
}
