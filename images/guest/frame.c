#include "frame.h"

#include <string.h>

uint8_t *frame_space(struct frame_reader *reader, size_t *room)
{
	size_t waiting = reader->end - reader->start;
	if (reader->start > 0) {
		memmove(reader->bytes, reader->bytes + reader->start, waiting);
		reader->start = 0;
		reader->end = waiting;
	}
	*room = sizeof reader->bytes - reader->end;
	return reader->bytes + reader->end;
}

void frame_added(struct frame_reader *reader, size_t count)
{
	reader->end += count;
}

enum frame_state frame_take(struct frame_reader *reader, struct frame *frame)
{
	const uint8_t *at = reader->bytes + reader->start;
	size_t waiting = reader->end - reader->start;
	if (waiting < HEADER_BYTES)
		return FRAME_PARTIAL;
	uint32_t length = get_u32(at + 4) & 0xffffff;
	if (length > MAX_PAYLOAD)
		return FRAME_TOO_LONG;
	if (waiting < HEADER_BYTES + length)
		return FRAME_PARTIAL;
	frame->stream = get_u32(at);
	frame->type = at[4];
	frame->length = length;
	frame->payload = at + HEADER_BYTES;
	reader->start += HEADER_BYTES + length;
	return FRAME_WHOLE;
}
