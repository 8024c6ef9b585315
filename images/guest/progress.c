/* The life of a command after its request: STARTED or FAILED, output, EXIT, the last output. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "command.h"
#include "output.h"
#include "pump.h"
#include "spawn.h"

static void send_started(struct command *command)
{
	uint8_t payload[4];
	put_u32(payload, (uint32_t)command->pid);
	output_frame(command->operation.id, STARTED, payload, sizeof payload);
	command->state = RUNNING;
	for (int number = 1; number <= LAST_SIGNAL; number++) {
		if (command->alive && command->early_signals >> (number - 1) & 1)
			(void)kill(-command->pid, number);
	}
}

/* The child says how far it came; end of file without a word means that execve closed the pipe. */
static void read_report(struct command *command)
{
	uint8_t report[SPAWN_REPORT_BYTES];
	ssize_t count = read(command->report.fd, report, sizeof report);
	/* Once the child is reaped nothing can come, even if somebody else got hold of the writing end. */
	if (count < 0 && command->alive) {
		command->report.readable = errno == EINTR;
		return;
	}
	loop_close(&command->report);
	if (count != (ssize_t)sizeof report) {
		send_started(command);
		return;
	}
	command->state = REFUSED;
	command->failed_stage = report[0];
	command->failed_error = (int)get_u32(report + 1);
	if (command->alive)
		(void)kill(command->pid, SIGKILL);
}

static void send_failed(struct command *command)
{
	uint32_t id = command->operation.id;
	output_failed(id, command->failed_stage, command->failed_error, NULL);
	outflow_end(&command->out[STDOUT_SIDE], id);
	outflow_end(&command->out[STDERR_SIDE], id + 1);
	command->operation.over = true;
}

static uint64_t microseconds(struct timeval time)
{
	return (uint64_t)time.tv_sec * 1000000 + (uint64_t)time.tv_usec;
}

static void send_exit(struct command *command)
{
	uint8_t payload[28] = { 0 };
	int status = command->status;
	if (WIFSIGNALED(status)) {
		payload[0] = 1;
		payload[1] = (uint8_t)WTERMSIG(status);
		payload[2] = WCOREDUMP(status) ? 1 : 0;
	} else {
		payload[1] = (uint8_t)WEXITSTATUS(status);
	}
	put_u64(payload + 4, microseconds(command->usage.ru_utime));
	put_u64(payload + 12, microseconds(command->usage.ru_stime));
	put_u64(payload + 20, (uint64_t)command->usage.ru_maxrss);
	output_frame(command->operation.id, EXIT, payload, sizeof payload);
	command->state = EXITED;
}

bool command_step(struct operation *operation)
{
	struct command *command = (struct command *)operation;
	bool more = false;
	if (command->state == STARTING && (command->report.readable || !command->alive))
		read_report(command);
	if (command->state == REFUSED) {
		send_failed(command);
		return false;
	}
	if (command->state == STARTING || command->state == COLLECTING)
		return false;
	if (command->state == RUNNING && !command->alive)
		send_exit(command);
	command->first_side = !command->first_side;
	more |= pump_output(command, command->first_side);
	more |= pump_output(command, !command->first_side);
	pump_input(command);
	if (command->state == EXITED && command->out[STDOUT_SIDE].ended && command->out[STDERR_SIDE].ended) {
		operation_unlist(operation);
		operation->over = command->output[STDOUT_SIDE].fd < 0 && command->output[STDERR_SIDE].fd < 0;
	}
	return more;
}
