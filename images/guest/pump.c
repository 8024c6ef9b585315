#include "pump.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "fault.h"
#include "output.h"

enum {
	/* A terminal can't tell how much it holds: its buffers together take no more than this. */
	TERMINAL_HOLDS = 128 * 1024,
	SCRATCH_BYTES = 64 * 1024,
	END_OF_FILE = 4, /* ^D */
	WORTH_MOVING = 16 * 1024,
};

/* Nobody takes more: the host is told, and what still arrives is dropped. */
static void stop_input(struct command *command)
{
	loop_close(&command->input);
	inflow_stop(&command->in, command->operation.id);
}

/* Writes until the descriptor is full. Returns the number of bytes taken. */
static size_t write_some(struct command *command, const uint8_t *bytes, size_t length)
{
	struct source *input = &command->input;
	size_t done = 0;
	while (done < length && input->writable) {
		ssize_t count = write(input->fd, bytes + done, length - done);
		if (count > 0) {
			done += (size_t)count;
			command->line_open = bytes[done - 1] != '\n';
		} else if (count < 0 && errno == EAGAIN) {
			input->writable = false;
		} else if (count < 0 && errno != EINTR) {
			stop_input(command);
			return length;
		}
	}
	return done;
}

void pump_accept(struct command *command, const struct frame *frame)
{
	size_t kept;
	size_t done = 0;
	if (!command->request.has_stdin)
		violation("DATA for a command without standard input");
	inflow_take(&command->in, frame->length);
	if (command->in.stopped || command->state == EXITED || command->state == REFUSED)
		return;
	if (inflow_kept(&command->in, &kept) == NULL)
		done = write_some(command, frame->payload, frame->length);
	inflow_keep(&command->in, frame->payload + done, frame->length - done);
	inflow_consumed(&command->in, command->operation.id, done);
}

/* A terminal has no end of file: it has a character that flushes the line, and ends the file on an empty one. */
static bool send_end_of_file(struct command *command)
{
	struct termios settings;
	uint8_t end[2] = { END_OF_FILE, END_OF_FILE };
	if (tcgetattr(command->input.fd, &settings) == 0)
		end[0] = end[1] = settings.c_cc[VEOF];
	size_t length = command->line_open ? 2 : 1;
	ssize_t count = write(command->input.fd, end, length);
	if (count == (ssize_t)length || (count < 0 && errno != EAGAIN && errno != EINTR))
		return true;
	command->input.writable = count < 0 && errno == EINTR;
	command->line_open = command->line_open && count != 1;
	return false;
}

static void finish_input(struct command *command)
{
	if (command->request.terminal && command->input.writable && !send_end_of_file(command))
		return;
	if (!command->request.terminal || command->input.writable)
		loop_close(&command->input);
}

void pump_input(struct command *command)
{
	size_t kept;
	const uint8_t *bytes;
	if (command->state == EXITED) {
		loop_close(&command->input);
		inflow_close(&command->in);
	}
	if (command->input.fd < 0)
		return;
	bool hung_up = command->request.terminal && command->output[STDOUT_SIDE].fd < 0;
	if (command->input.broken || hung_up) {
		stop_input(command);
		return;
	}
	bytes = inflow_kept(&command->in, &kept);
	if (bytes != NULL) {
		size_t done = write_some(command, bytes, kept);
		if (command->input.fd < 0)
			return;
		inflow_drop_kept(&command->in, done);
		inflow_consumed(&command->in, command->operation.id, done);
	}
	if (command->in.ended && inflow_kept(&command->in, &kept) == NULL)
		finish_input(command);
}

static void end_output(struct command *command, int side)
{
	outflow_end(&command->out[side], command->operation.id + (uint32_t)side);
}

/* What other processes write after the end is read, so that they don't block, and dropped. */
static bool discard(struct command *command, int side)
{
	static uint8_t scratch[SCRATCH_BYTES];
	struct source *output = &command->output[side];
	if (!output->readable)
		return false;
	ssize_t count = read(output->fd, scratch, sizeof scratch);
	if (count > 0 || (count < 0 && errno == EINTR))
		return true;
	if (count < 0 && errno == EAGAIN)
		loop_await_input(output);
	else
		loop_close(output);
	return false;
}

static void count_delivered(struct command *command, int side, size_t count)
{
	command->out[side].credit -= (uint32_t)count;
	if (command->state == EXITED)
		command->left[side] -= count;
}

/* Many bytes in a pipe are handed on by the page. Returns whether it did that. */
static bool move_on(struct command *command, int side, size_t limit)
{
	int waiting = 0;
	int fd = command->output[side].fd;
	if (limit < WORTH_MOVING || command->request.terminal || ioctl(fd, FIONREAD, &waiting) != 0 || waiting < WORTH_MOVING)
		return false;
	size_t count = (size_t)waiting < limit ? (size_t)waiting : limit;
	if (count > MAX_PAYLOAD)
		count = MAX_PAYLOAD;
	if (!output_move_data(STDOUT_FILENO, command->operation.id + (uint32_t)side, fd, count))
		return false;
	count_delivered(command, side, count);
	return true;
}

/* Reads one piece straight into the outgoing buffer. */
static bool copy_out(struct command *command, int side, size_t limit)
{
	struct source *output = &command->output[side];
	size_t room;
	uint8_t *into = output_begin_data(limit, &room);
	if (room == 0)
		return limit > 0;
	ssize_t count = read(output->fd, into, room);
	if (count < 0 && errno == EINTR)
		return true;
	if (count < 0 && errno == EAGAIN && command->state != EXITED) {
		loop_await_input(output);
		return false;
	}
	if (count <= 0) {
		/* A terminal says EIO when its last user is gone. */
		if (count == 0 || errno != EAGAIN)
			loop_close(output);
		end_output(command, side);
		return output->fd >= 0;
	}
	output_commit_data(command->operation.id + (uint32_t)side, (size_t)count);
	count_delivered(command, side, (size_t)count);
	return true;
}

static bool deliver(struct command *command, int side)
{
	size_t limit = command->out[side].credit;
	if (command->state == EXITED && command->left[side] < limit)
		limit = command->left[side];
	return move_on(command, side, limit) || copy_out(command, side, limit);
}

bool pump_output(struct command *command, int side)
{
	struct source *output = &command->output[side];
	struct outflow *out = &command->out[side];
	if (out->ended)
		return output->fd >= 0 && discard(command, side);
	if (out->stopped)
		loop_close(output);
	if (output->fd < 0 || (command->state == EXITED && command->left[side] == 0)) {
		end_output(command, side);
		return output->fd >= 0;
	}
	return output->readable && deliver(command, side);
}

void pump_measure(struct command *command)
{
	for (int side = 0; side < SIDES; side++) {
		int waiting = 0;
		struct source *output = &command->output[side];
		if (output->fd < 0)
			continue;
		output->readable = true;
		if (command->request.terminal || ioctl(output->fd, FIONREAD, &waiting) != 0)
			waiting = TERMINAL_HOLDS;
		command->left[side] = (size_t)waiting;
	}
}
