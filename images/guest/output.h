/* The one outgoing buffer. Everything the guest says passes through it, and nothing is read from a
 * command or a file unless there is room here: a slow host slows the task, it does not fill memory. */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <stdbool.h>

#include "protocol.h"

enum {
	OUTPUT_BYTES = 144 * 1024,
	/* What is kept free of DATA, so that the small frames of a step always fit. */
	OUTPUT_RESERVE = 8 * 1024,
	/* Nobody takes a step with less room than this. */
	STEP_ROOM = 16 * 1024,
};

size_t output_room(void);
/* Adds a frame; the caller has seen that there is room. */
void output_frame(uint32_t stream, enum frame_type type, const void *payload, size_t length);
/* FAILED of an operation. `text` may be NULL. */
void output_failed(uint32_t stream, uint8_t stage, int error, const char *text);
/* Room for the payload of a DATA frame, at most `limit` bytes and perhaps none. Fill it, then commit. */
uint8_t *output_begin_data(size_t limit, size_t *room);
void output_commit_data(uint32_t stream, size_t length);
/* The same for `length` bytes that the pipe `from` holds: moves them on to the host's pipe without a copy, as far as that takes them.
 * Returns false, and did nothing, when other frames are to be written first. */
bool output_move_data(int to, uint32_t stream, int from, size_t length);

bool output_pending(void);
/* Writes what the descriptor takes without waiting. Returns 0, EAGAIN, or another errno when the host is gone. */
int output_flush(int fd);

#endif
