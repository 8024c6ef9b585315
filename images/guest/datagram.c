#include "datagram.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "fault.h"
#include "loop.h"
#include "operation.h"
#include "output.h"

enum {
	MAX_DATAGRAM = 4096,
	/* A task that asks more than this at once loses the answers to its oldest questions, and asks again. */
	PENDING = 256,
	READS_PER_STEP = 8,
};

struct asker {
	uint32_t token; /* 0: nobody */
	struct sockaddr_in name;
};

static struct source asked = { .fd = -1 };
static struct asker askers[PENDING];
static uint32_t last_token;

static uint32_t remember(const struct sockaddr_in *name)
{
	if (++last_token == 0)
		last_token = 1;
	askers[last_token % PENDING] = (struct asker){ .token = last_token, .name = *name };
	return last_token;
}

static void pass_on(const uint8_t *message, size_t length, const struct sockaddr_in *from)
{
	static uint8_t payload[4 + MAX_DATAGRAM];
	put_u32(payload, remember(from));
	memcpy(payload + 4, message, length);
	output_frame(0, DATAGRAM, payload, 4 + length);
}

static bool read_some(struct operation *operation)
{
	static uint8_t message[MAX_DATAGRAM];
	(void)operation;
	for (int count = 0; count < READS_PER_STEP && output_room() >= OUTPUT_RESERVE; count++) {
		struct sockaddr_in from;
		socklen_t size = sizeof from;
		/* With MSG_TRUNC the length is that of the whole datagram: one that does not fit is dropped. */
		ssize_t length = recvfrom(asked.fd, message, sizeof message, MSG_TRUNC, (struct sockaddr *)&from, &size);
		if (length < 0 && errno == EAGAIN) {
			asked.readable = false;
			return false;
		}
		if (length >= 0 && length <= MAX_DATAGRAM)
			pass_on(message, (size_t)length, &from);
	}
	return true;
}

static void keep(struct operation *operation)
{
	(void)operation;
}

int datagram_open(struct endpoint at)
{
	static struct operation operation = { .kind = LISTENER, .step = read_some, .release = keep };
	struct sockaddr_in name = endpoint_name(at);
	if (asked.fd >= 0)
		violation("a second LISTEN for datagrams");
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	asked = (struct source){ .fd = fd, .owner = &operation };
	int error = bind(fd, (struct sockaddr *)&name, sizeof name) != 0 ? errno : loop_watch(&asked, WATCH_INPUT);
	if (error != 0)
		loop_close(&asked);
	return error;
}

void datagram_answer(const struct frame *frame)
{
	if (asked.fd < 0 || frame->length < 4 || frame->length > 4 + MAX_DATAGRAM)
		violation("DATAGRAM of a wrong form");
	uint32_t token = get_u32(frame->payload);
	struct asker *asker = &askers[token % PENDING];
	if (token == 0 || asker->token != token)
		return;
	asker->token = 0;
	/* A datagram may be lost: who asked will ask again. */
	(void)sendto(asked.fd, frame->payload + 4, frame->length - 4, MSG_NOSIGNAL, (struct sockaddr *)&asker->name,
	             sizeof asker->name);
}
