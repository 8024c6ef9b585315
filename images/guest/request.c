#include "request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fault.h"

enum { FLAG_TERMINAL = 1, FLAG_STDIN = 2, EXEC_BYTES = 14, SMALLEST_BODY = 1024 };

static bool grow(struct request *request, size_t needed)
{
	size_t capacity = request->capacity == 0 ? SMALLEST_BODY : request->capacity;
	while (capacity < needed)
		capacity *= 2;
	if (capacity == request->capacity)
		return true;
	uint8_t *body = realloc(request->body, capacity);
	if (body == NULL)
		return false;
	request->body = body;
	request->capacity = capacity;
	return true;
}

void request_append(struct request *request, const struct frame *frame)
{
	size_t length = request->length + frame->length;
	if (length > MAX_COMMAND_BYTES)
		violation("a command longer than 1 MiB");
	if (frame->length == 0)
		return;
	if (request->error != 0 || !grow(request, length))
		request->error = ENOMEM;
	else
		memcpy(request->body + request->length, frame->payload, frame->length);
	request->length = length;
}

static uint32_t count_strings(const struct request *request)
{
	uint32_t count = 0;
	for (size_t at = 0; at < request->length; at++)
		count += request->body[at] == 0;
	return count;
}

/* Points into the body: the directory, then argc and envc strings, each list closed by NULL. */
static void point_at_strings(struct request *request, uint32_t argc, uint32_t envc)
{
	char *at = (char *)request->body;
	request->directory = at;
	at += strlen(at) + 1;
	request->argv = request->strings;
	request->envp = request->strings + argc + 1;
	for (uint32_t index = 0; index < argc + envc; index++) {
		request->strings[index < argc ? index : index + 1] = at;
		at += strlen(at) + 1;
	}
	request->argv[argc] = NULL;
	request->envp[envc] = NULL;
}

int request_complete(struct request *request, const struct frame *frame)
{
	if (frame->length != EXEC_BYTES || frame->payload[0] > (FLAG_TERMINAL | FLAG_STDIN))
		violation("EXEC of a wrong form");
	uint32_t argc = get_u32(frame->payload + 6);
	uint32_t envc = get_u32(frame->payload + 10);
	request->terminal = frame->payload[0] & FLAG_TERMINAL;
	request->has_stdin = frame->payload[0] & FLAG_STDIN;
	request->rows = get_u16(frame->payload + 2);
	request->columns = get_u16(frame->payload + 4);
	if (request->error != 0)
		return request->error;
	uint64_t strings = (uint64_t)argc + envc + 1;
	if (argc == 0 || request->length == 0 || request->body[request->length - 1] != 0)
		violation("a command without arguments");
	if (count_strings(request) != strings)
		violation("EXEC and its strings do not agree");
	request->strings = calloc(strings + 1, sizeof *request->strings);
	if (request->strings == NULL)
		return ENOMEM;
	point_at_strings(request, argc, envc);
	return 0;
}

void request_free(struct request *request)
{
	free(request->body);
	free(request->strings);
	request->body = NULL;
	request->strings = NULL;
	request->directory = NULL;
	request->argv = request->envp = NULL;
}
