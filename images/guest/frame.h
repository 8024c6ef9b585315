/* Cuts what arrives on the pipe into frames. */
#ifndef FRAME_H
#define FRAME_H

#include "protocol.h"

struct frame {
	uint32_t stream;
	uint8_t type;
	uint32_t length;
	const uint8_t *payload; /* valid until the reader is filled again */
};

struct frame_reader {
	size_t start;
	size_t end;
	uint8_t bytes[2 * (HEADER_BYTES + MAX_PAYLOAD)];
};

enum frame_state { FRAME_PARTIAL, FRAME_WHOLE, FRAME_TOO_LONG };

/* The free room behind what has arrived, never none: move bytes there, then call frame_added. */
uint8_t *frame_space(struct frame_reader *reader, size_t *room);
void frame_added(struct frame_reader *reader, size_t count);
/* Takes the next frame out. Call until it is not FRAME_WHOLE before asking for room again. */
enum frame_state frame_take(struct frame_reader *reader, struct frame *frame);

#endif
