#include "command.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "fault.h"
#include "pump.h"
#include "quiesce.h"
#include "spawn.h"

static struct command *commands;

static void release(struct operation *operation)
{
	struct command *command = (struct command *)operation;
	struct command **at = &commands;
	while (*at != command)
		at = &(*at)->next;
	*at = command->next;
	loop_close(&command->report);
	loop_close(&command->input);
	for (int side = 0; side < SIDES; side++)
		loop_close(&command->output[side]);
	inflow_close(&command->in);
	request_free(&command->request);
	free(command);
}

static struct command *open_command(uint32_t id, uint32_t window)
{
	struct command *command = calloc(1, sizeof *command);
	if (command == NULL)
		fault(ENOMEM, "no memory for a command");
	command->operation = (struct operation){ .kind = COMMAND, .id = id, .step = command_step, .release = release };
	struct source *sources[] = { &command->report, &command->input, &command->output[0], &command->output[1] };
	for (size_t at = 0; at < sizeof sources / sizeof *sources; at++)
		*sources[at] = (struct source){ .fd = -1, .owner = &command->operation };
	inflow_open(&command->in, GUEST_WINDOW);
	for (int side = 0; side < SIDES; side++)
		outflow_open(&command->out[side], window);
	command->next = commands;
	commands = command;
	operation_list(&command->operation);
	return command;
}

static void start_command(struct command *command, const struct frame *frame)
{
	int error = request_complete(&command->request, frame);
	if (error == 0 && quiescing())
		error = ECANCELED;
	if (error == 0)
		error = spawn(command);
	request_free(&command->request);
	command->state = error == 0 ? STARTING : REFUSED;
	command->failed_stage = SPAWN_RESOURCES;
	command->failed_error = error;
	operation_wake(&command->operation);
}

static void deliver_signal(struct command *command, const struct frame *frame)
{
	if (frame->length != 1 || frame->payload[0] < 1 || frame->payload[0] > LAST_SIGNAL)
		violation("SIGNAL without a signal number");
	command->told_to_end |= frame->payload[0] == SIGTERM;
	if (command->state == STARTING)
		command->early_signals |= (uint64_t)1 << (frame->payload[0] - 1);
	else if (command->alive)
		(void)kill(-command->pid, frame->payload[0]);
}

static void resize(struct command *command, const struct frame *frame)
{
	if (!command->request.terminal || frame->length != 4)
		violation("RESIZE without a terminal or a size");
	struct winsize size = { .ws_row = get_u16(frame->payload), .ws_col = get_u16(frame->payload + 2) };
	if (command->output[STDOUT_SIDE].fd >= 0)
		(void)ioctl(command->output[STDOUT_SIDE].fd, TIOCSWINSZ, &size);
}

static void need_empty(const struct frame *frame)
{
	if (frame->length != 0)
		violation("a payload where there is none");
}

static void take_frame(struct command *command, const struct frame *frame)
{
	int side = frame->stream == command->operation.id ? STDOUT_SIDE : STDERR_SIDE;
	if (frame->type == CREDIT) {
		outflow_grant(&command->out[side], frame->payload, frame->length);
	} else if (frame->type == STOP) {
		need_empty(frame);
		command->out[side].stopped = true;
	} else if (side == STDERR_SIDE) {
		violation("a frame that makes no sense on standard error");
	} else if (frame->type == DATA) {
		pump_accept(command, frame);
	} else if (frame->type == END) {
		need_empty(frame);
		inflow_end(&command->in);
	} else if (frame->type == SIGNAL) {
		deliver_signal(command, frame);
	} else if (frame->type == RESIZE) {
		resize(command, frame);
	} else {
		violation("a frame that makes no sense for a command");
	}
	operation_wake(&command->operation);
}

void command_frame(struct command *command, const struct frame *frame, uint32_t window)
{
	if (command == NULL)
		command = open_command(frame->stream, window);
	if (command->state != COLLECTING)
		take_frame(command, frame);
	else if (frame->stream != command->operation.id)
		violation("a frame on the second stream of a command that is not complete");
	else if (frame->type == EXEC_BODY)
		request_append(&command->request, frame);
	else if (frame->type == EXEC)
		start_command(command, frame);
	else
		violation("a frame for a command that is not complete");
}

void commands_reaped(pid_t pid, int status, const struct rusage *usage)
{
	for (struct command *at = commands; at != NULL; at = at->next) {
		if (!at->alive || at->pid != pid)
			continue;
		at->alive = false;
		at->status = status;
		at->usage = *usage;
		if (at->told_to_end)
			(void)kill(-pid, SIGKILL);
		pump_measure(at);
		operation_wake(&at->operation);
		return;
	}
}

bool commands_alive(void)
{
	struct command *at = commands;
	while (at != NULL && !at->alive)
		at = at->next;
	return at != NULL;
}

bool commands_unfinished(void)
{
	struct command *at = commands;
	while (at != NULL && (at->state == COLLECTING || at->state == EXITED))
		at = at->next;
	return at != NULL;
}

bool command_end(uint32_t id)
{
	struct command *at = commands;
	while (at != NULL && at->operation.id != id)
		at = at->next;
	if (at != NULL && at->alive) {
		(void)kill(at->pid, SIGKILL);
		(void)kill(-at->pid, SIGKILL);
	}
	return at == NULL || at->state == COLLECTING || at->state == EXITED;
}

void commands_kill(void)
{
	for (struct command *at = commands; at != NULL; at = at->next) {
		if (at->pid > 0)
			(void)kill(-at->pid, SIGKILL);
	}
}
