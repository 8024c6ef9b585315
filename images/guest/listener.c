#include "listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "connection.h"
#include "datagram.h"
#include "fault.h"
#include "loop.h"
#include "operation.h"
#include "output.h"

enum {
	LISTEN_BYTES = 8,
	BACKLOG = 1024,
	ACCEPTS_PER_STEP = 16,
	LOOPBACK_NET = 127,
};

struct listener {
	struct operation operation;
	struct source socket;
	struct endpoint at;
	uint32_t window;
};

static void report(const struct frame *frame, int error)
{
	uint8_t payload[LISTEN_BYTES + 4];
	memcpy(payload, frame->payload, LISTEN_BYTES);
	put_u32(payload + LISTEN_BYTES, (uint32_t)error);
	output_frame(0, LISTENING, payload, sizeof payload);
}

static struct endpoint named_endpoint(const struct frame *frame)
{
	if (frame->length != LISTEN_BYTES || frame->payload[1] != 0 || frame->payload[4] != LOOPBACK_NET)
		violation("LISTEN of a wrong form");
	struct endpoint at = { .port = get_u16(frame->payload + 2), .address = get_u32(frame->payload + 4) };
	return at;
}

/* A thousand connections can take every descriptor: one that is kept for this lets the next one be turned away, where it would wait unseen. */
static int spare = -1;

static bool turn_away(struct listener *listener)
{
	if (spare < 0)
		return false;
	close_fd(&spare);
	int fd = accept4(listener->socket.fd, NULL, NULL, SOCK_CLOEXEC);
	reset_fd(&fd);
	spare = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	return true;
}

static bool accept_some(struct operation *operation)
{
	struct listener *listener = (struct listener *)operation;
	for (int count = 0; count < ACCEPTS_PER_STEP && output_room() >= OUTPUT_RESERVE; count++) {
		int fd = accept4(listener->socket.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			connection_open(fd, listener->at, listener->window);
		} else if (errno == EAGAIN) {
			listener->socket.readable = false;
			return false;
		} else if (errno == EMFILE || errno == ENFILE) {
			return turn_away(listener);
		}
	}
	return true;
}

static void keep(struct operation *operation)
{
	/* The host never closes a listener: the run ends first. */
	(void)operation;
}

static int listen_at(struct listener *listener)
{
	int yes = 1;
	struct sockaddr_in name = endpoint_name(listener->at);
	if (spare < 0)
		spare = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return errno;
	listener->socket = (struct source){ .fd = fd, .owner = &listener->operation };
	/* Accepted sockets inherit TCP_NODELAY: what the host sends in two frames does not wait for the task to acknowledge the first. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) != 0 ||
	    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) != 0 ||
	    bind(fd, (struct sockaddr *)&name, sizeof name) != 0 || listen(fd, BACKLOG) != 0)
		return errno;
	return loop_watch(&listener->socket, WATCH_INPUT);
}

static int open_listener(struct endpoint at, uint32_t window)
{
	struct listener *listener = calloc(1, sizeof *listener);
	if (listener == NULL)
		return ENOMEM;
	listener->operation = (struct operation){ .kind = LISTENER, .step = accept_some, .release = keep };
	listener->at = at;
	listener->window = window;
	listener->socket.fd = -1;
	int error = listen_at(listener);
	if (error != 0) {
		loop_close(&listener->socket);
		free(listener);
	}
	return error;
}

void listener_open(const struct frame *frame, uint32_t window)
{
	struct endpoint at = named_endpoint(frame);
	if (frame->payload[0] == IPPROTO_TCP)
		report(frame, open_listener(at, window));
	else if (frame->payload[0] == IPPROTO_UDP)
		report(frame, datagram_open(at));
	else
		violation("LISTEN for an unknown protocol");
}
