/* Any bytes as an archive, unpacked for real into a directory in memory. The first byte chooses the size of the pieces and
 * whether checksums are made right, without which few mutations get far. */
#include <string.h>

#include "archive.h"
#include "check.h"
#include "fuzz.h"
#include "ground.h"
#include "untar.h"

enum { BLOCK = 512, MAGIC_AT = 257 };

static void repair(uint8_t *bytes, size_t length)
{
	for (size_t at = 0; at + BLOCK <= length; at += BLOCK) {
		if (memcmp(bytes + at + MAGIC_AT, "ustar", 5) == 0)
			archive_seal(bytes + at);
	}
}

static void unpack(const uint8_t *bytes, size_t length, size_t piece)
{
	static struct untar untar;
	static struct place place;
	struct untar_result result = { .outcome = UNTAR_FINE };
	memset(&untar, 0, sizeof untar);
	untar.place = &place;
	CHECK(place_open(&place, ground_target) == 0);
	for (size_t at = 0; at < length;) {
		size_t count = length - at < piece ? length - at : piece;
		size_t done = untar_feed(&untar, bytes + at, count, &result);
		CHECK(done <= count && (done > 0 || result.outcome != UNTAR_FINE));
		CHECK(result.outcome == UNTAR_FINE || result.error > 0);
		if (result.outcome == UNTAR_BROKEN || result.outcome == UNTAR_FULL)
			break;
		at += done;
	}
	if (untar.state == UNTAR_END)
		place_settle(&place);
	place_close(&place);
	untar_close(&untar);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	static const size_t pieces[] = { 1, 7, 511, 512, 513, 4096, 65536, 1 << 20 };
	if (length < 2)
		return 0;
	if (ground[0] == 0) {
		ground_make();
		CHECK(atexit(ground_remove) == 0);
	}
	uint8_t *copy = malloc(length - 1);
	CHECK(copy != NULL);
	memcpy(copy, bytes + 1, length - 1);
	if (bytes[0] & 8)
		repair(copy, length - 1);
	unpack(copy, length - 1, pieces[bytes[0] & 7]);
	free(copy);
	ground_check_outside();
	ground_clear();
	return 0;
}

static void build(struct archive *archive, size_t index)
{
	archive_header(archive, '5', "d", "", 0);
	if (index == 1) {
		archive_pax(archive, "path", "d/by-pax", 8);
		archive_file(archive, "x", "body of some length");
		archive_pax(archive, "linkpath", "../outside", 10);
		archive_header(archive, '2', "d/link", "x", 0);
		archive_file(archive, "d/link/through", "x");
	} else if (index == 2) {
		archive_long(archive, 'L', "../outside/a-long-name/with/some/components");
		archive_long(archive, 'K', "a/long/target");
		archive_header(archive, '2', "x", "y", 0);
		archive_pax(archive, "size", "5", 1);
		archive_header(archive, '0', "sized", "", 0);
		archive_body(archive, "12345", 5);
	} else if (index == 3) {
		archive_header(archive, '1', "hard", "d", 0);
		archive_header(archive, '3', "device", "", 0);
		archive_header(archive, 'g', "global", "", 6);
		archive_body(archive, "6 a=b\n", 6);
		archive_file(archive, "../outside/up", "x");
	}
	archive_file(archive, "d/file", "contents");
	archive_header(archive, '2', "out", "../outside", 0);
	archive_file(archive, "out/x", "x");
	archive_end(archive);
}

size_t fuzz_seed(size_t index, uint8_t *into, size_t size)
{
	struct archive archive = { 0 };
	if (index >= 16)
		return 0;
	build(&archive, index % 4);
	CHECK(archive.length < size);
	into[0] = (uint8_t)(8 | (index * 3 & 7));
	memcpy(into + 1, archive.bytes, archive.length);
	size_t length = archive.length + 1;
	archive_free(&archive);
	return length;
}
