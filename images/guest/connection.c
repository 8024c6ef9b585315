#include "connection.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fault.h"
#include "loop.h"
#include "output.h"
#include "stream.h"

struct connection {
	struct operation operation;
	struct source socket;
	struct inflow in;
	struct outflow out;
	bool half_closed; /* the host's end was passed on */
};

static uint32_t last_id = MAX_STREAM; /* the ids of connections lie above */

void reset_fd(int *fd)
{
	struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
	if (*fd >= 0)
		(void)setsockopt(*fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	close_fd(fd);
}

static void release(struct operation *operation)
{
	struct connection *connection = (struct connection *)operation;
	loop_close(&connection->socket);
	inflow_close(&connection->in);
	free(connection);
}

/* The task broke the connection off. */
static void broken_off(struct connection *connection)
{
	output_frame(connection->operation.id, RESET, NULL, 0);
	connection->operation.over = true;
}

/* Writes until the socket is full. Returns the number of bytes taken, or -1 when the task is not there any more. */
static ssize_t write_some(struct connection *connection, const uint8_t *bytes, size_t length)
{
	struct source *socket = &connection->socket;
	size_t done = 0;
	while (done < length && socket->writable) {
		ssize_t count = send(socket->fd, bytes + done, length - done, MSG_NOSIGNAL);
		if (count > 0)
			done += (size_t)count;
		else if (count < 0 && errno == EAGAIN)
			socket->writable = false;
		else if (count < 0 && errno != EINTR)
			return -1;
	}
	return (ssize_t)done;
}

static void accept_data(struct connection *connection, const struct frame *frame)
{
	size_t kept;
	ssize_t done = 0;
	inflow_take(&connection->in, frame->length);
	if (inflow_kept(&connection->in, &kept) == NULL)
		done = write_some(connection, frame->payload, frame->length);
	if (done < 0) {
		/* The step that follows reads what the task still sent, and meets the reset itself. */
		connection->socket.readable = true;
		inflow_close(&connection->in);
		return;
	}
	inflow_keep(&connection->in, frame->payload + done, frame->length - (size_t)done);
	inflow_consumed(&connection->in, connection->operation.id, (size_t)done);
}

static void write_kept(struct connection *connection)
{
	size_t kept;
	const uint8_t *bytes = inflow_kept(&connection->in, &kept);
	ssize_t done = bytes == NULL ? 0 : write_some(connection, bytes, kept);
	if (done < 0) {
		connection->socket.readable = true;
		inflow_close(&connection->in);
		return;
	}
	if (done > 0) {
		inflow_drop_kept(&connection->in, (size_t)done);
		inflow_consumed(&connection->in, connection->operation.id, (size_t)done);
	}
	if (connection->in.ended && !connection->half_closed && inflow_kept(&connection->in, &kept) == NULL) {
		(void)shutdown(connection->socket.fd, SHUT_WR);
		connection->half_closed = true;
	}
}

/* Reads one piece straight into the outgoing buffer. Returns whether more can follow at once. */
static bool read_some(struct connection *connection)
{
	struct outflow *out = &connection->out;
	size_t room;
	if (out->ended || !connection->socket.readable)
		return false;
	uint8_t *into = output_begin_data(out->credit, &room);
	if (room == 0)
		return out->credit > 0;
	ssize_t count = recv(connection->socket.fd, into, room, 0);
	if (count > 0) {
		output_commit_data(connection->operation.id, (size_t)count);
		out->credit -= (uint32_t)count;
		return true;
	}
	if (count == 0)
		outflow_end(out, connection->operation.id);
	else if (errno == EAGAIN)
		connection->socket.readable = false;
	else if (errno != EINTR)
		broken_off(connection);
	return count < 0 && errno == EINTR;
}

static bool step(struct operation *operation)
{
	struct connection *connection = (struct connection *)operation;
	if (operation->over)
		return false;
	write_kept(connection);
	bool more = read_some(connection);
	if (!operation->over && connection->out.ended && connection->in.stopped)
		broken_off(connection);
	if (connection->out.ended && connection->half_closed)
		operation->over = true;
	return more && !operation->over;
}

void connection_open(int fd, struct endpoint at, uint32_t window)
{
	uint8_t payload[8] = { 0 };
	struct connection *connection = calloc(1, sizeof *connection);
	if (connection == NULL || last_id == UINT32_MAX) {
		free(connection);
		reset_fd(&fd);
		return;
	}
	connection->operation = (struct operation){ .kind = CONNECTED, .id = ++last_id, .step = step, .release = release };
	connection->socket = (struct source){ .fd = fd, .owner = &connection->operation };
	inflow_open(&connection->in, CONNECTION_WINDOW);
	outflow_open(&connection->out, window < CONNECTION_WINDOW ? window : CONNECTION_WINDOW);
	if (loop_watch(&connection->socket, WATCH_INPUT | WATCH_OUTPUT) != 0) {
		reset_fd(&connection->socket.fd);
		free(connection);
		last_id--;
		return;
	}
	put_u16(payload + 2, at.port);
	put_u32(payload + 4, at.address);
	output_frame(connection->operation.id, CONNECTION, payload, sizeof payload);
	operation_list(&connection->operation);
}

/* The host broke the connection off, or never wanted it. */
static void reset(struct connection *connection)
{
	/* Out of the loop first: closing takes the socket out of it as well, but not while a child holds a copy. */
	int fd = connection->socket.fd;
	struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	loop_close(&connection->socket);
	operation_unlist(&connection->operation);
	connection->operation.over = true;
}

void connection_frame(const struct frame *frame)
{
	struct connection *connection = (struct connection *)operation_find(frame->stream);
	bool crossing = frame->type == DATA || frame->type == END || frame->type == CREDIT || frame->type == RESET;
	if (frame->stream > last_id || !crossing)
		violation("a frame that makes no sense for a connection");
	if (connection == NULL || connection->operation.over)
		return;
	if (frame->type == DATA) {
		accept_data(connection, frame);
	} else if (frame->type == CREDIT) {
		outflow_grant(&connection->out, frame->payload, frame->length);
	} else if (frame->length != 0) {
		violation("a payload where there is none");
	} else if (frame->type == END) {
		inflow_end(&connection->in);
	} else {
		reset(connection);
	}
	operation_wake(&connection->operation);
}
