#include "unpack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"
#include "output.h"
#include "stream.h"
#include "untar.h"

enum failed_stage { STAGE_DIRECTORY = 1, STAGE_STREAM = 2, STAGE_WRITING = 3 };

struct unpack {
	struct operation operation;
	struct inflow in;
	struct untar untar;
	struct place place;
};

static void release(struct operation *operation)
{
	struct unpack *unpack = (struct unpack *)operation;
	inflow_close(&unpack->in);
	untar_close(&unpack->untar);
	place_close(&unpack->place);
	free(unpack);
}

static void fail(struct unpack *unpack, enum failed_stage stage, int error, const char *path)
{
	output_failed(unpack->operation.id, (uint8_t)stage, error, path);
	operation_unlist(&unpack->operation);
	inflow_close(&unpack->in);
	unpack->operation.over = true;
}

static void note(const struct unpack *unpack, const struct untar_result *result)
{
	uint8_t payload[4 + MAX_PATH];
	size_t length = strnlen(result->path, MAX_PATH);
	put_u32(payload, (uint32_t)result->error);
	memcpy(payload + 4, result->path, length);
	output_frame(unpack->operation.id, NOTE, payload, 4 + length);
}

/* Unpacks until the bytes are used up, the operation has failed, or there is no room for more notes. */
static size_t unpack_some(struct unpack *unpack, const uint8_t *bytes, size_t length)
{
	struct untar_result result;
	size_t done = 0;
	while (done < length && output_room() >= OUTPUT_RESERVE) {
		done += untar_feed(&unpack->untar, bytes + done, length - done, &result);
		if (result.outcome == UNTAR_NOTE) {
			note(unpack, &result);
		} else if (result.outcome != UNTAR_FINE) {
			fail(unpack, result.outcome == UNTAR_FULL ? STAGE_WRITING : STAGE_STREAM, result.error, result.path);
			return length;
		}
	}
	return done;
}

static void end(struct unpack *unpack)
{
	if (unpack->untar.state != UNTAR_END) {
		fail(unpack, STAGE_STREAM, EINVAL, "");
		return;
	}
	place_settle(&unpack->place);
	output_frame(unpack->operation.id, DONE, NULL, 0);
	unpack->operation.over = true;
}

static bool step(struct operation *operation)
{
	struct unpack *unpack = (struct unpack *)operation;
	size_t kept;
	if (operation->over)
		return false;
	const uint8_t *bytes = inflow_kept(&unpack->in, &kept);
	if (bytes != NULL) {
		size_t piece = kept < MAX_PAYLOAD ? kept : MAX_PAYLOAD;
		size_t done = unpack_some(unpack, bytes, piece);
		if (operation->over)
			return false;
		inflow_drop_kept(&unpack->in, done);
		inflow_consumed(&unpack->in, operation->id, done);
		return true;
	}
	if (unpack->in.ended)
		end(unpack);
	return false;
}

void unpack_open(const struct frame *frame)
{
	const char *directory = (const char *)frame->payload;
	if (frame->length < 2 || strnlen(directory, frame->length) != frame->length - 1)
		violation("UNPACK of a wrong form");
	struct unpack *unpack = calloc(1, sizeof *unpack);
	if (unpack == NULL)
		fault(ENOMEM, "no memory for an unpack");
	unpack->operation = (struct operation){ .kind = UNPACKING, .id = frame->stream, .step = step, .release = release };
	unpack->untar.place = &unpack->place;
	inflow_open(&unpack->in, GUEST_WINDOW);
	int error = place_open(&unpack->place, directory);
	if (error != 0) {
		output_failed(frame->stream, STAGE_DIRECTORY, error, directory);
		release(&unpack->operation);
		return;
	}
	operation_list(&unpack->operation);
}

void unpack_frame(struct operation *operation, const struct frame *frame)
{
	struct unpack *unpack = (struct unpack *)operation;
	size_t kept;
	size_t done = 0;
	if (frame->type == END && frame->length == 0) {
		inflow_end(&unpack->in);
	} else if (frame->type == DATA) {
		inflow_take(&unpack->in, frame->length);
		if (inflow_kept(&unpack->in, &kept) == NULL)
			done = unpack_some(unpack, frame->payload, frame->length);
		if (!operation->over)
			inflow_keep(&unpack->in, frame->payload + done, frame->length - done);
		inflow_consumed(&unpack->in, operation->id, done);
	} else {
		violation("a frame that makes no sense for an unpack");
	}
	operation_wake(operation);
}
