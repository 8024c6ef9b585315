#include "sweep.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "command.h"
#include "fault.h"
#include "mark.h"
#include "output.h"

enum { MOST_STOPS = 16 };

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
	return marked.complete && marked.count == 0;
}

static bool same(struct marked one, struct marked other)
{
	return one.complete && other.complete && one.count == other.count && one.sum == other.sum;
}

/* They are stopped before they are killed: a stopped process keeps its place below the limit of processes, so that its
 * kind can't multiply faster than it is found. Nothing is reaped meanwhile, for the same reason. */
static void kill_all(uint32_t number)
{
	struct marked before = mark_signal(number, SIGSTOP);
	for (int stops = 1; stops < MOST_STOPS; stops++) {
		struct marked now = mark_signal(number, SIGSTOP);
		if (same(before, now))
			break;
		before = now;
	}
	(void)mark_signal(number, SIGKILL);
}

/* Two looks, because one reads the list while it changes. */
static bool swept(uint32_t number)
{
	bool over = command_end(number);
	if (!none(mark_signal(number, SIGSTOP)) || !none(mark_signal(number, SIGSTOP))) {
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
