#include "fault.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "output.h"
#include "quiesce.h"

enum { FLUSH_TIMEOUT_MS = 1000 };

/* The pipe does not block, and a host that never reads must not keep us: wait a moment, then give up. */
static void flush_waiting(void)
{
	struct pollfd out = { .fd = STDOUT_FILENO, .events = POLLOUT };
	while (output_flush(STDOUT_FILENO) == EAGAIN) {
		if (poll(&out, 1, FLUSH_TIMEOUT_MS) <= 0)
			return;
	}
}

_Noreturn void fault(int error, const char *text)
{
	uint8_t payload[4 + 256];
	size_t length = strnlen(text, sizeof payload - 4);
	kill_everything();
	flush_waiting();
	if (output_room() >= HEADER_BYTES + sizeof payload) {
		put_u32(payload, (uint32_t)error);
		memcpy(payload + 4, text, length);
		output_frame(0, FAULT, payload, 4 + length);
		flush_waiting();
	}
	_exit(EXIT_FAULT);
}

_Noreturn void violation(const char *text)
{
	fault(EPROTO, text);
}

_Noreturn void finish(void)
{
	kill_everything();
	_exit(0);
}
