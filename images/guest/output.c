#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"

static uint8_t buffer[OUTPUT_BYTES];
static size_t start;
static size_t end;

size_t output_room(void)
{
	return sizeof buffer - (end - start);
}

static void make_contiguous(void)
{
	if (start == 0)
		return;
	memmove(buffer, buffer + start, end - start);
	end -= start;
	start = 0;
}

static void put_header(uint8_t *at, uint32_t stream, enum frame_type type, size_t length)
{
	put_u32(at, stream);
	put_u32(at + 4, (uint32_t)type << 24 | (uint32_t)length);
}

void output_frame(uint32_t stream, enum frame_type type, const void *payload, size_t length)
{
	if (output_room() < HEADER_BYTES + length)
		fault(ENOBUFS, "no room for a frame");
	if (sizeof buffer - end < HEADER_BYTES + length)
		make_contiguous();
	put_header(buffer + end, stream, type, length);
	if (length > 0)
		memcpy(buffer + end + HEADER_BYTES, payload, length);
	end += HEADER_BYTES + length;
}

void output_failed(uint32_t stream, uint8_t stage, int error, const char *text)
{
	uint8_t payload[8 + MAX_PATH] = { stage };
	size_t length = text == NULL ? 0 : strnlen(text, MAX_PATH);
	put_u32(payload + 4, (uint32_t)error);
	if (length > 0)
		memcpy(payload + 8, text, length);
	output_frame(stream, FAILED, payload, 8 + length);
}

uint8_t *output_begin_data(size_t limit, size_t *room)
{
	size_t taken = end - start + OUTPUT_RESERVE + HEADER_BYTES;
	size_t most = taken < sizeof buffer ? sizeof buffer - taken : 0;
	if (most > limit)
		most = limit;
	if (most > MAX_PAYLOAD)
		most = MAX_PAYLOAD;
	if (sizeof buffer - end < HEADER_BYTES + most)
		make_contiguous();
	*room = most;
	return buffer + end + HEADER_BYTES;
}

void output_commit_data(uint32_t stream, size_t length)
{
	if (length == 0)
		return;
	put_header(buffer + end, stream, DATA, length);
	end += HEADER_BYTES + length;
}

/* What the host's pipe does not take at once is copied, so that a frame always ends here. The task can open its own pipe and take bytes that
 * were counted: the frame is filled up then, since its length has been said. */
static void copy_rest(int from, size_t left)
{
	while (left > 0) {
		ssize_t count = read(from, buffer + end, left);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0) {
			memset(buffer + end, 0, left);
			count = (ssize_t)left;
		}
		end += (size_t)count;
		left -= (size_t)count;
	}
}

bool output_move_data(int to, uint32_t stream, int from, size_t length)
{
	size_t left = length;
	if (output_pending())
		return false;
	put_header(buffer, stream, DATA, length);
	end = HEADER_BYTES;
	while (output_flush(to) == 0 && left > 0) {
		ssize_t count = splice(from, NULL, to, NULL, left, SPLICE_F_NONBLOCK);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			break;
		left -= (size_t)count;
	}
	copy_rest(from, left);
	return true;
}

bool output_pending(void)
{
	return end > start;
}

int output_flush(int fd)
{
	while (end > start) {
		ssize_t count = write(fd, buffer + start, end - start);
		if (count < 0) {
			if (errno == EINTR)
				continue;
			return errno;
		}
		start += (size_t)count;
	}
	start = end = 0;
	return 0;
}
