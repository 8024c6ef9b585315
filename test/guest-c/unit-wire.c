/* Frames, credit, requests, PATH search. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "child.h"
#include "frame.h"
#include "output.h"
#include "request.h"
#include "stream.h"
#include "unit.h"

static size_t header(uint8_t *at, uint32_t stream, uint8_t type, uint32_t length)
{
	put_u32(at, stream);
	put_u32(at + 4, (uint32_t)type << 24 | length);
	return HEADER_BYTES;
}

static void add(struct frame_reader *reader, const uint8_t *bytes, size_t length)
{
	size_t room;
	uint8_t *into = frame_space(reader, &room);
	CHECK(room >= length);
	memcpy(into, bytes, length);
	frame_added(reader, length);
}

static void frames_arrive_whole_whatever_the_pieces(void)
{
	static struct frame_reader reader;
	uint8_t bytes[64];
	struct frame frame;
	size_t length = header(bytes, 7, DATA, 5);
	memcpy(bytes + length, "hello", 5);
	length += 5;
	length += header(bytes + length, 0x80000001, CREDIT, 0);
	for (size_t piece = 1; piece <= length; piece++) {
		size_t found = 0;
		for (size_t at = 0; at < length; at += piece) {
			add(&reader, bytes + at, at + piece <= length ? piece : length - at);
			while (frame_take(&reader, &frame) == FRAME_WHOLE) {
				CHECK(frame.stream == (found == 0 ? 7 : 0x80000001));
				CHECK(frame.type == (found == 0 ? DATA : CREDIT));
				CHECK(found == 1 || memcmp(frame.payload, "hello", 5) == 0);
				found++;
			}
		}
		CHECK(found == 2);
	}
}

static void the_longest_frame_is_taken_and_a_longer_one_refused(void)
{
	static struct frame_reader reader;
	static uint8_t bytes[HEADER_BYTES + MAX_PAYLOAD];
	struct frame frame;
	(void)header(bytes, 1, DATA, MAX_PAYLOAD);
	add(&reader, bytes, sizeof bytes);
	CHECK(frame_take(&reader, &frame) == FRAME_WHOLE && frame.length == MAX_PAYLOAD);
	(void)header(bytes, 1, DATA, MAX_PAYLOAD + 1);
	add(&reader, bytes, HEADER_BYTES);
	CHECK(frame_take(&reader, &frame) == FRAME_TOO_LONG);
}

/* What the guest has said since the last call; returns its length. */
static size_t said(uint8_t *into, size_t size)
{
	int ends[2];
	CHECK(pipe(ends) == 0);
	CHECK(output_flush(ends[1]) == 0);
	(void)close(ends[1]);
	ssize_t count = read(ends[0], into, size);
	(void)close(ends[0]);
	CHECK(count >= 0);
	return (size_t)count;
}

static void data_beyond_its_credit_ends_the_session(void)
{
	struct inflow in;
	inflow_open(&in, GUEST_WINDOW);
	inflow_take(&in, GUEST_WINDOW - 1);
	CHECK(ENDS(inflow_take(&in, 2)));
	CHECK(!ENDS(inflow_take(&in, 1)));
	CHECK(ENDS(inflow_take(&in, 1)));
	CHECK(ENDS(inflow_take(&in, 0)));
}

static void nothing_follows_the_hosts_eof(void)
{
	struct inflow in;
	inflow_open(&in, GUEST_WINDOW);
	inflow_end(&in);
	CHECK(ENDS(inflow_take(&in, 1)));
	CHECK(ENDS(inflow_end(&in)));
}

static void consumed_bytes_are_granted_again_and_never_more(void)
{
	struct inflow in;
	uint8_t bytes[64];
	const uint32_t quarter = GUEST_WINDOW / 4;
	inflow_open(&in, GUEST_WINDOW);
	for (uint32_t taken = 0; taken < quarter; taken += MAX_PAYLOAD)
		inflow_take(&in, MAX_PAYLOAD);
	inflow_consumed(&in, 9, quarter - 1);
	CHECK(said(bytes, sizeof bytes) == 0);
	inflow_consumed(&in, 9, 1);
	CHECK(said(bytes, sizeof bytes) == 12);
	CHECK(get_u32(bytes) == 9 && bytes[4] == CREDIT && get_u32(bytes + 8) == quarter);
	CHECK(in.credit == GUEST_WINDOW);
}

static void kept_bytes_come_back_in_order_over_many_turns(void)
{
	struct inflow in;
	static uint8_t piece[40000];
	uint8_t bytes[4096];
	size_t kept, in_count = 0, out_count = 0;
	inflow_open(&in, GUEST_WINDOW);
	for (int turn = 0; turn < 200; turn++) {
		while (in.credit >= sizeof piece) {
			for (size_t at = 0; at < sizeof piece; at++)
				piece[at] = (uint8_t)(in_count++ % 251);
			inflow_take(&in, sizeof piece);
			inflow_keep(&in, piece, sizeof piece);
		}
		const uint8_t *at = inflow_kept(&in, &kept);
		size_t take = (size_t)(turn * 7919 % 60000 + 1);
		take = take < kept ? take : kept;
		for (size_t index = 0; index < take; index++)
			CHECK(at[index] == (uint8_t)(out_count++ % 251));
		inflow_drop_kept(&in, take);
		inflow_consumed(&in, 1, take);
		(void)said(bytes, sizeof bytes);
	}
	inflow_close(&in);
}

static void stop_is_said_once_and_not_after_the_hosts_eof(void)
{
	struct inflow in;
	uint8_t bytes[64];
	inflow_open(&in, GUEST_WINDOW);
	inflow_stop(&in, 5);
	inflow_stop(&in, 5);
	CHECK(said(bytes, sizeof bytes) == HEADER_BYTES && bytes[4] == STOP);
	inflow_open(&in, GUEST_WINDOW);
	inflow_end(&in);
	inflow_stop(&in, 5);
	CHECK(said(bytes, sizeof bytes) == 0);
}

static void credit_beyond_31_bits_ends_the_session(void)
{
	struct outflow out;
	uint8_t most[4], one[4];
	outflow_open(&out, 4096);
	put_u32(most, MAX_OUTSTANDING - 4096);
	put_u32(one, 1);
	CHECK(!ENDS(outflow_grant(&out, most, 4)));
	CHECK(ENDS(outflow_grant(&out, one, 4)));
	CHECK(ENDS(outflow_grant(&out, one, 3)));
}

static int complete(const char *body, size_t length, uint32_t argc, uint32_t envc, struct request *request)
{
	uint8_t exec[14] = { 0 };
	struct frame piece = { .type = EXEC_BODY, .length = (uint32_t)length, .payload = (const uint8_t *)body };
	struct frame last = { .type = EXEC, .length = sizeof exec, .payload = exec };
	put_u32(exec + 6, argc);
	put_u32(exec + 10, envc);
	*request = (struct request){ 0 };
	request_append(request, &piece);
	return request_complete(request, &last);
}

static void a_request_is_its_strings(void)
{
	static const char body[] = "/work\0echo\0\0A=1";
	struct request request;
	CHECK(!ENDS((void)complete(body, sizeof body, 2, 1, &request)));
	CHECK(strcmp(request.directory, "/work") == 0);
	CHECK(strcmp(request.argv[0], "echo") == 0 && *request.argv[1] == 0 && request.argv[2] == NULL);
	CHECK(strcmp(request.envp[0], "A=1") == 0 && request.envp[1] == NULL);
	request_free(&request);
}

static void a_request_that_contradicts_its_strings_ends_the_session(void)
{
	static struct request request; /* survives the jump out of complete() */
	CHECK(ENDS((void)complete("/\0a\0b", 6, 1, 0, &request)));
	request_free(&request);
	CHECK(ENDS((void)complete("/\0a\0b", 6, 2, 1, &request)));
	request_free(&request);
	CHECK(ENDS((void)complete("/\0a", 3, 1, 0, &request)));
	request_free(&request);
	CHECK(ENDS((void)complete("/", 2, 0, 0, &request)));
	request_free(&request);
	CHECK(ENDS((void)complete("", 0, 1, 0, &request)));
	request_free(&request);
	CHECK(ENDS((void)complete("/\0a", 4, 0xffffffff, 2, &request)));
	request_free(&request);
}

static char tried[256];
static int answer;

static int remember(const char *path, char *const argv[], char *const envp[])
{
	(void)argv;
	(void)envp;
	strcat(tried, path);
	strcat(tried, " ");
	errno = strncmp(path, "/etc", 4) == 0 || strncmp(path, "/closed", 7) == 0 ? EACCES : answer;
	return -1;
}

static int search(const char *name, const char *path)
{
	char *argv[] = { (char *)name, NULL };
	char *envp[] = { "PATHS=/wrong", (char *)path, NULL };
	tried[0] = 0;
	return search_and_execute(argv, envp, remember);
}

static void a_program_is_searched_in_the_path_of_its_environment(void)
{
	answer = ENOENT;
	CHECK(search("x", "PATH=/a:/b") == ENOENT);
	CHECK(strcmp(tried, "/a/x /b/x ") == 0);
	CHECK(search("x", "PATH=:/a:") == ENOENT);
	CHECK(strcmp(tried, "./x /a/x ./x ") == 0);
	CHECK(search("x", NULL) == ENOENT);
	CHECK(strcmp(tried, "/usr/local/sbin/x /usr/local/bin/x /usr/sbin/x /usr/bin/x /sbin/x /bin/x ") == 0);
	CHECK(search("./x", "PATH=/a") == ENOENT);
	CHECK(strcmp(tried, "./x ") == 0);
	CHECK(search("", "PATH=/a") == ENOENT && *tried == 0);
}

static void a_search_tells_the_most_useful_error(void)
{
	answer = ENOENT;
	CHECK(search("passwd", "PATH=/etc:/b") == EACCES);
	CHECK(strcmp(tried, "/etc/passwd /b/passwd ") == 0);
	CHECK(search("x", "PATH=/closed:/b") == ENOENT);
	CHECK(search("/bin/sh", "PATH=/a") == ENOEXEC); /* it is there: its interpreter must be missing */
	answer = E2BIG;
	CHECK(search("x", "PATH=/a:/b") == E2BIG);
	CHECK(strcmp(tried, "/a/x ") == 0);
}

void unit_wire(void)
{
	TEST(frames_arrive_whole_whatever_the_pieces);
	TEST(the_longest_frame_is_taken_and_a_longer_one_refused);
	TEST(data_beyond_its_credit_ends_the_session);
	TEST(nothing_follows_the_hosts_eof);
	TEST(consumed_bytes_are_granted_again_and_never_more);
	TEST(kept_bytes_come_back_in_order_over_many_turns);
	TEST(stop_is_said_once_and_not_after_the_hosts_eof);
	TEST(credit_beyond_31_bits_ends_the_session);
	TEST(a_request_is_its_strings);
	TEST(a_request_that_contradicts_its_strings_ends_the_session);
	TEST(a_program_is_searched_in_the_path_of_its_environment);
	TEST(a_search_tells_the_most_useful_error);
}
