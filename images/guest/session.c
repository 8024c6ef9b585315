#include "session.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "connection.h"
#include "datagram.h"
#include "fault.h"
#include "listener.h"
#include "output.h"
#include "pack.h"
#include "quiesce.h"
#include "stats.h"
#include "sweep.h"
#include "unpack.h"

enum { READS_PER_TURN = 2 };

static struct frame_reader reader;
static bool paused;
static uint32_t host_window; /* 0 before WELCOME */
static uint32_t highest_stream;

void session_hello(void)
{
	uint8_t payload[12] = "BJAR";
	put_u16(payload + 4, PROTOCOL_VERSION);
	put_u32(payload + 8, GUEST_WINDOW);
	output_frame(0, HELLO, payload, sizeof payload);
}

static void take_welcome(const struct frame *frame)
{
	if (frame->stream == 0 && frame->type == KNOCK && frame->length == 0) {
		session_hello();
		return;
	}
	if (frame->stream != 0 || frame->type != WELCOME || frame->length < 8)
		violation("the first frame is not WELCOME");
	if (get_u16(frame->payload) != PROTOCOL_VERSION)
		violation("another version");
	host_window = get_u32(frame->payload + 4);
	if (host_window < MIN_WINDOW || host_window > MAX_WINDOW)
		violation("a window out of range");
	if (!stats_watch((const char *)frame->payload + 8, frame->length - 8))
		violation("directories to watch of a wrong form");
}

static void take_sweep(const struct frame *frame)
{
	uint32_t number = frame->length == 4 ? get_u32(frame->payload) : 0;
	if (number == 0 || number > highest_stream)
		violation("SWEEP of a command that never was");
	sweep_begin(number);
}

static void take_control(const struct frame *frame)
{
	if (frame->type == LISTEN) {
		listener_open(frame, host_window);
		return;
	}
	if (frame->type == DATAGRAM) {
		datagram_answer(frame);
		return;
	}
	if (frame->type == SWEEP) {
		take_sweep(frame);
		return;
	}
	bool fits = frame->type == PING ? frame->length == 8 : frame->length == 0;
	if (!fits)
		violation("a control frame of a wrong length");
	if (frame->type == PING)
		output_frame(0, PONG, frame->payload, frame->length);
	else if (frame->type == QUIESCE)
		quiesce_begin();
	else if (frame->type == STATS_REQUEST)
		quiesce_count();
	else
		violation("a frame that makes no sense on the control stream");
}

static void open_stream(const struct frame *frame)
{
	uint32_t last = frame->stream;
	if (frame->type == EXEC_BODY || frame->type == EXEC)
		last++;
	if (last > MAX_STREAM)
		violation("a stream id out of range");
	highest_stream = last;
	if (frame->type == EXEC_BODY || frame->type == EXEC)
		command_frame(NULL, frame, host_window);
	else if (frame->type == UNPACK)
		unpack_open(frame);
	else if (frame->type == PACK)
		pack_open(frame, host_window);
	else
		violation("a frame on a stream that is not open");
}

static bool may_cross_the_end(uint8_t type)
{
	return type == DATA || type == END || type == CREDIT || type == STOP || type == SIGNAL || type == RESIZE;
}

void session_frame(const struct frame *frame)
{
	if (host_window == 0) {
		take_welcome(frame);
		return;
	}
	if (frame->stream == 0) {
		take_control(frame);
		return;
	}
	if (frame->stream > MAX_STREAM) {
		connection_frame(frame);
		return;
	}
	if (frame->stream > highest_stream) {
		open_stream(frame);
		return;
	}
	struct operation *operation = operation_find(frame->stream);
	if (operation == NULL && !may_cross_the_end(frame->type))
		violation("a frame on a stream that has ended");
	if (operation == NULL)
		return;
	if (operation->kind == COMMAND)
		command_frame((struct command *)operation, frame, host_window);
	else if (operation->kind == UNPACKING)
		unpack_frame(operation, frame);
	else
		pack_frame(operation, frame);
}

static void take_all(void)
{
	struct frame frame;
	enum frame_state state = FRAME_PARTIAL;
	paused = false;
	while (output_room() >= STEP_ROOM && (state = frame_take(&reader, &frame)) == FRAME_WHOLE)
		session_frame(&frame);
	if (state == FRAME_TOO_LONG)
		violation("a frame longer than 65,536 bytes");
	paused = state == FRAME_WHOLE || output_room() < STEP_ROOM;
}

void session_read(struct source *from_host)
{
	take_all();
	for (int reads = 0; !paused && from_host->readable && reads < READS_PER_TURN; reads++) {
		size_t room;
		uint8_t *into = frame_space(&reader, &room);
		ssize_t count = read(from_host->fd, into, room);
		if (count < 0 && errno == EAGAIN)
			from_host->readable = false;
		else if (count == 0 || (count < 0 && errno != EINTR))
			finish();
		if (count <= 0)
			continue;
		frame_added(&reader, (size_t)count);
		take_all();
	}
}

bool session_paused(void)
{
	return paused;
}
