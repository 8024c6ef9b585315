#include "stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "output.h"

/* A frame of credit for each quarter of the window keeps a fast sender busy and costs next to nothing. */
enum { GRANTS_PER_WINDOW = 4 };

void inflow_open(struct inflow *in, uint32_t window)
{
	*in = (struct inflow){ .window = window, .credit = window };
}

void inflow_take(struct inflow *in, size_t length)
{
	if (length == 0)
		violation("empty DATA");
	if (in->ended)
		violation("DATA after EOF");
	if (length > in->credit)
		violation("DATA beyond its credit");
	in->credit -= (uint32_t)length;
}

void inflow_end(struct inflow *in)
{
	if (in->ended)
		violation("a second EOF");
	in->ended = true;
}

void inflow_keep(struct inflow *in, const uint8_t *bytes, size_t length)
{
	size_t waiting = in->queue_end - in->queue_start;
	if (length == 0 || in->stopped)
		return;
	if (in->queue == NULL) {
		in->queue = malloc(in->window);
		if (in->queue == NULL)
			fault(ENOMEM, "no memory for waiting input");
	}
	if (in->window - in->queue_end < length) {
		memmove(in->queue, in->queue + in->queue_start, waiting);
		in->queue_start = 0;
		in->queue_end = waiting;
	}
	/* What was taken and not consumed never exceeds the window, so this fits. */
	memcpy(in->queue + in->queue_end, bytes, length);
	in->queue_end += length;
}

const uint8_t *inflow_kept(const struct inflow *in, size_t *length)
{
	*length = in->queue_end - in->queue_start;
	return *length == 0 ? NULL : in->queue + in->queue_start;
}

static void release_queue(struct inflow *in)
{
	free(in->queue);
	in->queue = NULL;
	in->queue_start = in->queue_end = 0;
}

void inflow_drop_kept(struct inflow *in, size_t length)
{
	in->queue_start += length;
	if (in->queue_start == in->queue_end)
		release_queue(in);
}

void inflow_consumed(struct inflow *in, uint32_t stream, size_t length)
{
	uint8_t payload[4];
	in->owed += (uint32_t)length;
	if (in->owed < in->window / GRANTS_PER_WINDOW || in->ended || in->stopped)
		return;
	put_u32(payload, in->owed);
	output_frame(stream, CREDIT, payload, sizeof payload);
	in->credit += in->owed;
	in->owed = 0;
}

void inflow_stop(struct inflow *in, uint32_t stream)
{
	if (in->stopped)
		return;
	in->stopped = true;
	release_queue(in);
	if (!in->ended)
		output_frame(stream, STOP, NULL, 0);
}

void inflow_close(struct inflow *in)
{
	in->stopped = true;
	release_queue(in);
}

void outflow_open(struct outflow *out, uint32_t window)
{
	*out = (struct outflow){ .credit = window };
}

void outflow_grant(struct outflow *out, const uint8_t *payload, size_t length)
{
	if (length != 4)
		violation("CREDIT of a wrong length");
	uint32_t more = get_u32(payload);
	if (more > MAX_OUTSTANDING - out->credit)
		violation("credit beyond 2^31-1");
	out->credit += more;
}

void outflow_end(struct outflow *out, uint32_t stream)
{
	if (out->ended)
		return;
	out->ended = true;
	output_frame(stream, END, NULL, 0);
}
