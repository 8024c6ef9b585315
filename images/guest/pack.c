#include "pack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault.h"
#include "loop.h"
#include "output.h"
#include "stream.h"
#include "tar.h"
#include "walk.h"

enum { STAGE_DIRECTORY = 1, VISITS_PER_STEP = 128 };

struct pack {
	struct operation operation;
	struct outflow out;
	struct walk walk;
	bool finished;       /* the two zero blocks are under way or sent */
	uint64_t body;       /* bytes of the open file still to be sent */
	size_t padding;      /* zero bytes after it */
	size_t header_at;    /* what has been sent of `header` */
	size_t header_length;
	int left_out; /* errno of a NOTE to be sent for the current path */
	uint8_t header[TAR_MAX_HEADER];
};

static void release(struct operation *operation)
{
	struct pack *pack = (struct pack *)operation;
	walk_close(&pack->walk);
	free(pack);
}

static char type_of(mode_t mode)
{
	if (S_ISREG(mode))
		return '0';
	if (S_ISDIR(mode))
		return '5';
	if (S_ISLNK(mode))
		return '2';
	if (S_ISCHR(mode))
		return '3';
	return S_ISBLK(mode) ? '4' : '6';
}

static uint64_t within_a_field(int64_t value)
{
	if (value < 0)
		return 0;
	return (uint64_t)value > TAR_MAX_NUMBER ? TAR_MAX_NUMBER : (uint64_t)value;
}

static void begin_entry(struct pack *pack)
{
	struct walk *walk = &pack->walk;
	bool regular = S_ISREG(walk->status.st_mode);
	uint64_t size = regular ? (uint64_t)walk->status.st_size : 0;
	struct tar_entry entry = {
		.type = type_of(walk->status.st_mode),
		.path = walk->path,
		.target = walk->target,
		.mode = walk->status.st_mode & 07777,
		.size = size,
		.mtime = within_a_field(walk->status.st_mtime),
	};
	pack->header_at = 0;
	pack->header_length = size > TAR_MAX_NUMBER ? 0 : tar_write_header(pack->header, &entry);
	if (pack->header_length == 0) {
		pack->left_out = size > TAR_MAX_NUMBER ? EFBIG : ENAMETOOLONG;
		close_fd(&walk->file);
		return;
	}
	pack->body = size;
	pack->padding = (size_t)(-size % TAR_BLOCK);
}

static size_t give_header(struct pack *pack, uint8_t *into, size_t room)
{
	size_t count = pack->header_length - pack->header_at;
	if (count > room)
		count = room;
	memcpy(into, pack->header + pack->header_at, count);
	pack->header_at += count;
	return count;
}

/* The announced size is a promise: what can't be read any more becomes zeros. */
static size_t give_body(struct pack *pack, uint8_t *into, size_t room)
{
	size_t most = pack->body < room ? (size_t)pack->body : room;
	ssize_t count = pack->walk.file >= 0 ? read(pack->walk.file, into, most) : 0;
	if (count < 0 && errno == EINTR)
		return 0;
	if (count <= 0) {
		close_fd(&pack->walk.file);
		memset(into, 0, most);
		count = (ssize_t)most;
	}
	pack->body -= (uint64_t)count;
	return (size_t)count;
}

static size_t give_padding(struct pack *pack, uint8_t *into, size_t room)
{
	size_t count = pack->padding < room ? pack->padding : room;
	memset(into, 0, count);
	pack->padding -= count;
	return count;
}

static bool has_bytes(const struct pack *pack)
{
	return pack->header_at < pack->header_length || pack->body > 0 || pack->padding > 0;
}

static size_t give(struct pack *pack, uint8_t *into, size_t room)
{
	if (pack->header_at < pack->header_length)
		return give_header(pack, into, room);
	if (pack->body > 0)
		return give_body(pack, into, room);
	return give_padding(pack, into, room);
}

/* Looks at the next file once everything of the last one is sent. */
static void look(struct pack *pack)
{
	close_fd(&pack->walk.file);
	enum walk_outcome outcome = walk_next(&pack->walk, &pack->left_out);
	if (outcome == WALK_ENTRY)
		begin_entry(pack);
	if (outcome != WALK_END)
		return;
	pack->finished = true;
	pack->padding = 2 * TAR_BLOCK;
}

/* Fills one DATA frame. */
static void send_piece(struct pack *pack)
{
	size_t room;
	size_t done = 0;
	uint8_t *into = output_begin_data(pack->out.credit, &room);
	for (int visits = 0; done < room && visits < VISITS_PER_STEP && pack->left_out == 0;) {
		if (has_bytes(pack)) {
			done += give(pack, into + done, room - done);
		} else if (!pack->finished) {
			look(pack);
			visits++;
		} else {
			break;
		}
	}
	output_commit_data(pack->operation.id, done);
	pack->out.credit -= (uint32_t)done;
}

static void send_note(struct pack *pack)
{
	uint8_t payload[4 + MAX_PATH];
	size_t length = strnlen(pack->walk.path, MAX_PATH);
	put_u32(payload, (uint32_t)pack->left_out);
	memcpy(payload + 4, pack->walk.path, length);
	output_frame(pack->operation.id, NOTE, payload, 4 + length);
	pack->left_out = 0;
}

static bool step(struct operation *operation)
{
	struct pack *pack = (struct pack *)operation;
	if (!pack->out.stopped)
		send_piece(pack);
	if (pack->left_out != 0)
		send_note(pack);
	if (!pack->out.stopped && (has_bytes(pack) || !pack->finished))
		return pack->out.credit > 0;
	outflow_end(&pack->out, operation->id);
	output_frame(operation->id, DONE, NULL, 0);
	operation->over = true;
	return false;
}

/* A string list of the directory and at least one path. Returns the length of the directory with its NUL. */
static size_t check_form(const struct frame *frame)
{
	const char *list = (const char *)frame->payload;
	if (frame->length < 4 || list[frame->length - 1] != 0)
		violation("PACK of a wrong form");
	size_t directory = strlen(list) + 1;
	if (directory == 1 || directory == frame->length)
		violation("PACK without a directory or a path");
	return directory;
}

void pack_open(const struct frame *frame, uint32_t window)
{
	size_t directory = check_form(frame);
	size_t length = frame->length - directory;
	struct pack *pack = calloc(1, sizeof *pack);
	char *list = malloc(length);
	if (pack == NULL || list == NULL)
		fault(ENOMEM, "no memory for a pack");
	memcpy(list, frame->payload + directory, length);
	pack->operation = (struct operation){ .kind = PACKING, .id = frame->stream, .step = step, .release = release };
	outflow_open(&pack->out, window);
	int error = walk_open(&pack->walk, (const char *)frame->payload, list, length);
	if (error != 0) {
		output_failed(frame->stream, STAGE_DIRECTORY, error, (const char *)frame->payload);
		release(&pack->operation);
		return;
	}
	operation_list(&pack->operation);
	operation_wake(&pack->operation);
}

void pack_frame(struct operation *operation, const struct frame *frame)
{
	struct pack *pack = (struct pack *)operation;
	if (frame->type == CREDIT)
		outflow_grant(&pack->out, frame->payload, frame->length);
	else if (frame->type == STOP && frame->length == 0)
		pack->out.stopped = true;
	else
		violation("a frame that makes no sense for a pack");
	operation_wake(operation);
}
