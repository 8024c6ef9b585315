/* Any bytes as what the host sends. Nothing is forked and no file is touched: starting a command, placing a file and
 * walking a directory are stood in for below. What the guest says is checked against docs/protocol.md. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Their state is private; a run must begin with none. */
#include "../../images/guest/command.c"
#include "../../images/guest/operation.c"
#include "../../images/guest/output.c"
#include "../../images/guest/quiesce.c"
#include "../../images/guest/session.c"
#include "../../images/guest/sweep.c"

#include "check.h"
#include "fuzz.h"
#include "mark.h"
#include "place.h"
#include "spawn.h"
#include "walk.h"

/* No process has such an id: signals sent to it reach nobody. */
enum { NO_PROCESS = 0x3fffffff };

/* argv[0] chooses: "e" can't be started, "f" fails in execve, anything else writes "argv[1]" and ends. */
int spawn(struct command *command)
{
	int ends[2];
	const char *text = command->request.argv[1] != NULL ? command->request.argv[1] : "";
	if (command->request.argv[0][0] == 'e')
		return EAGAIN;
	CHECK(pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0);
	command->report.fd = ends[0];
	if (command->request.argv[0][0] == 'f')
		CHECK(write(ends[1], "\3\0\0\0\2", 5) == 5);
	CHECK(close(ends[1]) == 0);
	for (int side = 0; side < SIDES; side++) {
		CHECK(pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0);
		command->output[side].fd = ends[0];
		CHECK(write(ends[1], text, strlen(text)) >= -1);
		CHECK(close(ends[1]) == 0);
		CHECK(loop_watch(&command->output[side], WATCH_INPUT) == 0);
	}
	if (command->request.has_stdin) {
		CHECK(pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0);
		command->input.fd = ends[1];
		command->input.writable = true;
		if (command->request.argv[0][0] == 'c')
			CHECK(close(ends[0]) == 0);
		else
			CHECK(fcntl(ends[0], F_SETPIPE_SZ, 4096) > 0 && dup2(ends[0], 1000) == 1000 && close(ends[0]) == 0);
	}
	CHECK(loop_watch(&command->report, WATCH_INPUT) == 0);
	command->pid = NO_PROCESS;
	command->alive = true;
	return 0;
}

struct marked mark_signal(uint32_t number, int signal)
{
	CHECK(number > 0 && number <= MAX_STREAM && signal > 0);
	return (struct marked){ 0 };
}

int mark_self(uint32_t number)
{
	(void)number;
	return 0;
}

int place_open(struct place *place, const char *directory)
{
	place->file = -1;
	return directory[0] == '!' ? ENOENT : 0;
}

static int outcome(const char *path)
{
	return path[0] == '!' ? EACCES : path[0] == '#' ? ENOSPC : 0;
}

int place_directory(struct place *place, const char *path, unsigned int mode, int64_t mtime)
{
	(void)place, (void)mode, (void)mtime;
	return outcome(path);
}

int place_symlink(struct place *place, const char *path, const char *target, int64_t mtime)
{
	(void)place, (void)target, (void)mtime;
	return outcome(path);
}

int place_file(struct place *place, const char *path, unsigned int mode)
{
	(void)place, (void)mode;
	return outcome(path);
}

int place_write(struct place *place, const uint8_t *bytes, size_t length)
{
	(void)place;
	return length > 0 && bytes[0] == '#' ? ENOSPC : 0;
}

int place_finish(struct place *place, int64_t mtime)
{
	(void)place, (void)mtime;
	return 0;
}

void place_settle(struct place *place)
{
	(void)place;
}

void place_close(struct place *place)
{
	(void)place;
}

int walk_open(struct walk *walk, const char *directory, char *list, size_t length)
{
	walk->file = -1;
	walk->list = list;
	walk->list_length = length;
	return directory[0] == '!' ? ENOENT : 0;
}

/* A listed path "!..." is left out, one of "/..." is a link with that target, any other a file of some size. */
enum walk_outcome walk_next(struct walk *walk, int *error)
{
	const char *listed = walk->list + walk->list_at;
	if (walk->list_at == walk->list_length)
		return WALK_END;
	size_t length = strlen(listed);
	walk->list_at += length + 1;
	(void)snprintf(walk->path, sizeof walk->path, "%s", listed);
	(void)snprintf(walk->target, sizeof walk->target, "%s", listed[0] == '/' ? listed : "");
	*error = EACCES;
	walk->status.st_mode = (mode_t)((listed[0] == '/' ? S_IFLNK : S_IFREG) | 0644);
	walk->status.st_size = (off_t)(length * length * length);
	return listed[0] == '!' ? WALK_LEFT_OUT : WALK_ENTRY;
}

void walk_close(struct walk *walk)
{
	free(walk->list);
}

static bool guest_may_say(uint8_t type)
{
	static const uint8_t types[] = { HELLO, SWEPT, QUIESCED, STATS, PONG, STARTED, EXIT, FAILED, DATA, END, CREDIT, STOP, DONE, NOTE };
	return memchr(types, type, sizeof types) != NULL;
}

/* Takes what was said, as a host would that reads everything. */
static void check_what_was_said(void)
{
	while (start < end) {
		uint32_t length = get_u32(buffer + start + 4) & 0xffffff;
		CHECK(end - start >= HEADER_BYTES + length && length <= MAX_PAYLOAD);
		CHECK(guest_may_say(buffer[start + 4]));
		CHECK(buffer[start + 4] != DATA || length > 0);
		CHECK(get_u32(buffer + start) <= MAX_STREAM);
		start += HEADER_BYTES + length;
	}
	start = end = 0;
}

static void take_steps(void)
{
	struct rusage usage = { .ru_maxrss = 1 };
	for (int turn = 0; turn < 4; turn++) {
		CHECK(loop_wait(0) == 0);
		operations_run();
		quiesce_step();
		sweeps_step();
		check_what_was_said();
		commands_reaped(NO_PROCESS, turn << 8, &usage);
	}
}

static void forget_everything(void)
{
	struct operation *operation;
	while (queue_head != NULL) {
		operation = take_queued();
		if (!operation->listed && operation->kind != COMMAND)
			operation->release(operation);
	}
	for (size_t at = 0; at < BUCKETS; at++) {
		while ((operation = buckets[at]) != NULL) {
			operation_unlist(operation);
			operation->release(operation);
		}
	}
	while (commands != NULL) /* those that only wait for their pipes to end */
		commands->operation.release(&commands->operation);
	start = end = 0;
	asked = 0;
	while (sweeps != NULL) {
		struct sweep *next = sweeps->next;
		free(sweeps);
		sweeps = next;
	}
	host_window = highest_stream = 0;
	paused = false;
	reader.start = reader.end = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	static bool open;
	static size_t at;
	if (!open)
		CHECK(loop_open() == 0 && signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	open = true;
	at = 0;
	if (ENDS(session_hello()))
		return 0;
	bool ended = ENDS({
		while (at < length) {
			size_t room;
			uint8_t *into = frame_space(&reader, &room);
			size_t count = length - at < room ? length - at : room;
			count = count < 1 + at % 4099 ? count : 1 + at % 4099;
			memcpy(into, bytes + at, count);
			frame_added(&reader, count);
			at += count;
			for (take_all(); paused; take_all())
				take_steps();
			if (at % 3 == 0)
				take_steps();
		}
		take_steps();
	});
	(void)ended;
	forget_everything();
	return 0;
}

static size_t add(uint8_t *into, uint32_t stream, uint8_t type, const void *payload, size_t length)
{
	put_u32(into, stream);
	put_u32(into + 4, (uint32_t)type << 24 | (uint32_t)length);
	memcpy(into + HEADER_BYTES, payload, length);
	return HEADER_BYTES + length;
}

static size_t add_command(uint8_t *into, uint32_t stream, const char *name, uint8_t flags)
{
	char body[64] = "/";
	uint8_t exec[14] = { flags };
	memcpy(body + 2, name, strlen(name) + 1);
	memcpy(body + 3 + strlen(name), "some output\0A=1", 16);
	put_u32(exec + 6, 2);
	put_u32(exec + 10, 1);
	size_t length = add(into, stream, EXEC_BODY, body, 3 + strlen(name) + 16);
	return length + add(into + length, stream, EXEC, exec, sizeof exec);
}

size_t fuzz_seed(size_t index, uint8_t *into, size_t size)
{
	static const uint8_t block[1024];
	size_t length = add(into, 0, WELCOME, "\0\1\0\0\0\1\0\0/tmp", 13);
	CHECK(size > 65536);
	if (index >= 4)
		return 0;
	if (index == 0 || index == 3) {
		length += add_command(into + length, 1, "x", 2);
		length += add(into + length, 1, DATA, "input", 5);
		length += add(into + length, 1, CREDIT, "\0\0\1\0", 4);
		length += add(into + length, 2, STOP, "", 0);
		length += add(into + length, 1, SIGNAL, "\17", 1);
		length += add(into + length, 1, END, "", 0);
		length += add_command(into + length, 3, "e", 0);
		length += add_command(into + length, 5, "f", 3);
		length += add(into + length, 5, RESIZE, "\0\1\0\1", 4);
	}
	if (index == 1 || index == 3) {
		length += add(into + length, 21, UNPACK, "/dir", 5);
		length += add(into + length, 21, DATA, block, 1024);
		length += add(into + length, 21, END, "", 0);
		length += add(into + length, 22, PACK, "/dir\0a\0!b\0/c\0a-longer-name", 27);
		length += add(into + length, 22, CREDIT, "\0\1\0\0", 4);
		length += add(into + length, 22, STOP, "", 0);
	}
	if (index >= 2) {
		length += add(into + length, 0, PING, "12345678", 8);
		length += add(into + length, 0, STATS_REQUEST, "", 0);
		length += add(into + length, 0, QUIESCE, "", 0);
		length += add_command(into + length, 29, "x", 0);
		length += add(into + length, 0, SWEEP, "\0\0\0\35", 4);
		length += add_command(into + length, 31, "c", 2);
		length += add(into + length, 31, DATA, block, 1024);
	}
	return length;
}
