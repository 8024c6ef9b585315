/* Archives in and out. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "archive.h"
#include "check.h"
#include "ground.h"
#include "tar.h"
#include "unit.h"
#include "untar.h"
#include "walk.h"

static struct archive archive;
static char notes[65536];

/* Unpacks `archive` in pieces. Returns how it ended; what was left out stands in `notes`. */
static enum untar_outcome unpack_in(size_t piece)
{
	static struct untar untar;
	static struct place place;
	struct untar_result result = { .outcome = UNTAR_FINE };
	memset(&untar, 0, sizeof untar);
	untar.place = &place;
	notes[0] = 0;
	CHECK(place_open(&place, ground_target) == 0);
	for (size_t at = 0; at < archive.length;) {
		size_t length = archive.length - at < piece ? archive.length - at : piece;
		at += untar_feed(&untar, archive.bytes + at, length, &result);
		if (result.outcome == UNTAR_BROKEN || result.outcome == UNTAR_FULL)
			break;
		if (result.outcome == UNTAR_NOTE && strlen(notes) < sizeof notes / 2)
			(void)snprintf(notes + strlen(notes), sizeof notes - strlen(notes), "%s:%d\n", result.path, result.error);
	}
	bool complete = untar.state == UNTAR_END;
	if (complete)
		place_settle(&place);
	place_close(&place);
	untar_close(&untar);
	ground_check_outside();
	if (result.outcome == UNTAR_BROKEN || result.outcome == UNTAR_FULL)
		return result.outcome;
	return complete ? UNTAR_FINE : UNTAR_BROKEN;
}

/* The same must come of it in one piece and byte by byte. */
static enum untar_outcome unpack(void)
{
	char first[sizeof notes];
	enum untar_outcome whole = unpack_in(archive.length);
	strcpy(first, notes);
	ground_clear();
	CHECK(unpack_in(1) == whole);
	CHECK(strcmp(first, notes) == 0);
	ground_clear();
	CHECK(unpack_in(513) == whole);
	CHECK(strcmp(first, notes) == 0);
	archive_free(&archive);
	return whole;
}

static const char *contents(const char *name)
{
	static char text[8192];
	char path[256];
	(void)snprintf(path, sizeof path, "%s/%s", ground_target, name);
	int fd = open(path, O_RDONLY | O_NOFOLLOW);
	if (fd < 0)
		return NULL;
	ssize_t count = read(fd, text, sizeof text - 1);
	CHECK(count >= 0);
	text[count] = 0;
	(void)close(fd);
	return text;
}

static bool has(const char *name, const char *body)
{
	const char *found = contents(name);
	return found != NULL && strcmp(found, body) == 0;
}

static struct stat status_of(const char *name)
{
	char path[256];
	struct stat status = { 0 };
	(void)snprintf(path, sizeof path, "%s/%s", ground_target, name);
	CHECK(lstat(path, &status) == 0);
	return status;
}

static void files_directories_and_links_come_out_with_modes_and_times(void)
{
	uint8_t *header = archive_header(&archive, '5', "sealed/", "", 0);
	memcpy(header + 100, "0000555", 7);
	archive_seal(header);
	archive_file(&archive, "sealed/in", "inside");
	header = archive_header(&archive, '0', "tool", "", 0);
	memcpy(header + 100, "0007755", 7);
	archive_seal(header);
	archive_file(&archive, "a/b/../ok", "");
	archive_file(&archive, "./deep//er/x", "x");
	archive_header(&archive, '2', "link", "/etc/passwd", 0);
	archive_end(&archive);
	CHECK(unpack() == UNTAR_FINE);
	CHECK(strcmp(notes, "a/b/../ok:22\n") == 0);
	CHECK(has("sealed/in", "inside") && has("deep/er/x", "x") && has("tool", ""));
	CHECK((status_of("sealed").st_mode & 07777) == 0555 && status_of("sealed").st_mtime == 1700000000);
	CHECK((status_of("tool").st_mode & 07777) == 0755 && status_of("tool").st_mtime == 1700000000);
	CHECK(S_ISLNK(status_of("link").st_mode));
	CHECK((status_of("deep").st_mode & 07777) == 0755);
	ground_clear();
}

static void an_entry_replaces_a_file_or_link_but_not_a_directory(void)
{
	archive_file(&archive, "a", "one");
	archive_file(&archive, "a", "two");
	archive_header(&archive, '2', "l", "../outside/x", 0);
	archive_file(&archive, "l", "file");
	archive_header(&archive, '5', "d", "", 0);
	archive_file(&archive, "d", "file");
	archive_header(&archive, '5', "a", "", 0);
	archive_end(&archive);
	CHECK(unpack() == UNTAR_FINE);
	CHECK(has("a", "two") && has("l", "file") && S_ISDIR(status_of("d").st_mode));
	CHECK(strstr(notes, "d:") != NULL && strstr(notes, "a:20\n") != NULL);
	ground_clear();
}

static void nothing_leads_outside(void)
{
	char absolute[160];
	(void)snprintf(absolute, sizeof absolute, "%s/outside/abs", ground);
	archive_file(&archive, "../outside/up", "x");
	archive_file(&archive, "a/../../outside/up", "x");
	archive_file(&archive, "..", "x");
	archive_file(&archive, absolute, "x");
	archive_header(&archive, '2', "out", "../outside", 0);
	archive_file(&archive, "out/through", "x");
	archive_header(&archive, '5', "out/dir", "", 0);
	archive_header(&archive, '5', "out", "", 0);
	archive_header(&archive, '2', "out/link", "x", 0);
	archive_header(&archive, '2', "abs", ground, 0);
	archive_file(&archive, "abs/outside/through", "x");
	archive_header(&archive, '2', "chain1", "chain2", 0);
	archive_header(&archive, '2', "chain2", "../outside", 0);
	archive_file(&archive, "chain1/x", "x");
	archive_header(&archive, '2', "loop", "loop", 0);
	archive_file(&archive, "loop/x", "x");
	archive_pax(&archive, "path", "../outside/pax", 14);
	archive_file(&archive, "harmless", "x");
	archive_long(&archive, 'L', "../outside/long");
	archive_file(&archive, "harmless", "x");
	archive_end(&archive);
	CHECK(unpack() == UNTAR_FINE);
	CHECK(contents("harmless") == NULL);
	CHECK(strstr(notes, "out/through:") != NULL && strstr(notes, "../outside/pax:") != NULL);
	ground_clear();
}

static void hard_links_and_devices_are_left_out(void)
{
	for (const char *type = "1346"; *type != 0; type++)
		archive_header(&archive, *type, "special", "../outside", 0);
	archive_header(&archive, 'Z', "unknown", "", 5);
	archive_body(&archive, "12345", 5);
	archive_file(&archive, "after", "still read");
	archive_end(&archive);
	CHECK(unpack() == UNTAR_FINE);
	CHECK(has("after", "still read"));
	CHECK(strcmp(notes, "special:95\nspecial:95\nspecial:95\nspecial:95\nunknown:95\n") == 0);
	ground_clear();
}

static void a_link_or_device_with_a_body_is_malformed(void)
{
	for (const char *type = "123456S"; *type != 0; type++) {
		archive_header(&archive, *type, "x", "y", 512);
		archive_file(&archive, "smuggled", "x");
		archive_end(&archive);
		CHECK(unpack() == UNTAR_BROKEN);
		CHECK(contents("smuggled") == NULL);
	}
}

static void a_bad_checksum_is_malformed(void)
{
	archive_file(&archive, "good", "x");
	uint8_t *header = archive_header(&archive, '0', "bad", "", 0);
	header[0] ^= 1;
	archive_end(&archive);
	CHECK(unpack() == UNTAR_BROKEN);
	ground_clear();
}

static void a_truncated_archive_is_malformed_and_leaves_no_half_file(void)
{
	archive_file(&archive, "good", "x");
	archive_header(&archive, '0', "half", "", 2000);
	archive_body(&archive, "12345", 5);
	CHECK(unpack() == UNTAR_BROKEN);
	CHECK(has("good", "x") && contents("half") == NULL);
	ground_clear();
	archive_file(&archive, "no end", "x");
	CHECK(unpack() == UNTAR_BROKEN);
	archive_file(&archive, "one zero block", "x");
	archive_body(&archive, "\0", 1);
	archive_file(&archive, "and on", "x");
	CHECK(unpack() == UNTAR_BROKEN);
	ground_clear();
}

static void sizes_are_what_they_say_or_malformed(void)
{
	static const char *const wrong[] = { "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "-0000000001", "0000000009", "\x80\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "0x10", "\x81" };
	for (size_t at = 0; at < sizeof wrong / sizeof *wrong; at++) {
		uint8_t *header = archive_header(&archive, '0', "x", "", 0);
		memcpy(header + 124, wrong[at], at == 0 || at == 3 ? 12 : strlen(wrong[at]) + 1);
		archive_seal(header);
		archive_end(&archive);
		CHECK(unpack() == UNTAR_BROKEN);
	}
	uint8_t *header = archive_header(&archive, '0', "base256", "", 0);
	memcpy(header + 124, "\x80\0\0\0\0\0\0\0\0\0\0\x05", 12);
	archive_seal(header);
	archive_body(&archive, "12345", 5);
	archive_pax(&archive, "size", "3", 1);
	archive_header(&archive, '0', "by pax", "", 0);
	archive_body(&archive, "abc", 3);
	archive_end(&archive);
	CHECK(unpack() == UNTAR_FINE);
	CHECK(has("base256", "12345") && has("by pax", "abc"));
	ground_clear();
}

static void terabytes_that_never_come_take_no_space(void)
{
	uint8_t *header = archive_header(&archive, '0', "sparse", "", 0);
	memcpy(header + 124, "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", 12);
	archive_seal(header);
	archive_body(&archive, "x", 1);
	CHECK(unpack() == UNTAR_BROKEN);
	CHECK(contents("sparse") == NULL);
}

static void pax_records_are_strict(void)
{
	static const struct { const char *text; size_t length; } wrong[] = {
		{ "10 path=\0x\n", 11 }, { "9 path=a", 8 }, { "99 path=a\n", 10 }, { "x path=a\n", 9 }, { "0 path=a\n", 9 },
		{ "3 a\n", 4 }, { "5 =a\n", 5 }, { "8 path=\n", 8 }, { "11 size=-1\n", 11 }, { "9 size=\n", 8 },
		{ "99999999999999999999 path=a\n", 28 }, { "12 size=0x1\n", 12 }, { "11 path=a/b", 11 }, { " 9 path=a\n", 10 },
	};
	for (size_t at = 0; at < sizeof wrong / sizeof *wrong; at++) {
		archive_header(&archive, 'x', "PaxHeader", "", wrong[at].length);
		archive_body(&archive, wrong[at].text, wrong[at].length);
		archive_file(&archive, "y", "x");
		archive_end(&archive);
		CHECK(unpack() == UNTAR_BROKEN);
		CHECK(contents("y") == NULL);
	}
}

static void pax_times_may_have_fractions_and_signs(void)
{
	archive_pax(&archive, "mtime", "1234567890.75", 13);
	archive_file(&archive, "a", "");
	archive_pax(&archive, "mtime", "-5", 2);
	archive_file(&archive, "b", "");
	archive_end(&archive);
	CHECK(unpack() == UNTAR_FINE);
	CHECK(status_of("a").st_mtime == 1234567890 && status_of("b").st_mtime == -5);
	ground_clear();
}

static void chains_of_extended_headers_are_malformed(void)
{
	archive_long(&archive, 'L', "first");
	archive_long(&archive, 'L', "second");
	archive_file(&archive, "x", "x");
	archive_end(&archive);
	CHECK(unpack() == UNTAR_BROKEN);
	archive_pax(&archive, "path", "a", 1);
	archive_pax(&archive, "size", "0", 1);
	archive_file(&archive, "x", "x");
	archive_end(&archive);
	CHECK(unpack() == UNTAR_BROKEN);
	archive_pax(&archive, "path", "a", 1);
	archive_long(&archive, 'L', "b");
	archive_file(&archive, "x", "x");
	archive_end(&archive);
	CHECK(unpack() == UNTAR_BROKEN);
	archive_pax(&archive, "path", "a", 1);
	archive_end(&archive);
	CHECK(unpack() == UNTAR_BROKEN);
	archive_header(&archive, 'x', "PaxHeader", "", (size_t)1 << 30);
	archive_end(&archive);
	CHECK(unpack() == UNTAR_BROKEN);
}

static void long_names_work_until_they_are_too_long(void)
{
	static char name[6000];
	memset(name, 'n', 150);
	strcpy(name + 150, "/file");
	archive_long(&archive, 'L', name);
	archive_file(&archive, "cut", "long");
	memset(name, 'n', 300);
	strcpy(name + 300, "/file");
	archive_long(&archive, 'L', name);
	archive_file(&archive, "cut", "component");
	for (size_t at = 0; at < 5000; at += 2)
		memcpy(name + at, "d/", 3);
	archive_pax(&archive, "path", name, 5000);
	archive_file(&archive, "cut", "path");
	archive_end(&archive);
	CHECK(unpack() == UNTAR_FINE);
	CHECK(strstr(notes, ":36\n") != NULL && contents("cut") == NULL);
	memset(name, 'n', 150);
	strcpy(name + 150, "/file");
	CHECK(has(name, "long"));
	ground_clear();
}

static void a_ustar_prefix_counts_only_in_posix_archives(void)
{
	uint8_t *header = archive_header(&archive, '0', "name", "", 0);
	memcpy(header + 345, "prefix", 6);
	archive_seal(header);
	header = archive_header(&archive, '0', "gnu", "", 0);
	memcpy(header + 257, "ustar  \0", 8);
	memcpy(header + 345, "12345", 5);
	archive_seal(header);
	archive_end(&archive);
	CHECK(unpack() == UNTAR_FINE);
	CHECK(has("prefix/name", "") && has("gnu", ""));
	ground_clear();
}

static void sparse_files_are_left_out(void)
{
	archive_pax(&archive, "GNU.sparse.major", "1", 1);
	archive_file(&archive, "sparse", "0\n");
	archive_file(&archive, "after", "x");
	archive_end(&archive);
	CHECK(unpack() == UNTAR_FINE);
	CHECK(strcmp(notes, "sparse:95\n") == 0 && has("after", "x"));
	ground_clear();
}

static void what_follows_the_end_is_dropped(void)
{
	archive_file(&archive, "a", "x");
	archive_end(&archive);
	archive_file(&archive, "b", "x");
	CHECK(unpack() == UNTAR_FINE);
	CHECK(has("a", "x") && contents("b") == NULL);
	ground_clear();
}

static void a_directory_list_longer_than_memory_allows_is_settled_early(void)
{
	char name[128];
	for (int at = 0; at < 4000; at++) {
		(void)snprintf(name, sizeof name, "%0100d", at);
		archive_header(&archive, '5', name, "", 0);
	}
	archive_end(&archive);
	CHECK(unpack_in(65536) == UNTAR_FINE);
	(void)snprintf(name, sizeof name, "%0100d", 3);
	CHECK(status_of(name).st_mtime == 1700000000);
	archive_free(&archive);
	ground_clear();
}

static void headers_written_are_read_back(void)
{
	static char path[4096], target[4096];
	static uint8_t blocks[TAR_MAX_HEADER];
	struct place unused;
	static struct untar untar;
	for (size_t length = 1; length < 4000; length += 37) {
		memset(path, 'p', length);
		path[length] = 0;
		memset(target, 't', length);
		target[length] = 0;
		struct tar_entry entry = { .type = '2', .path = path, .target = target, .mode = 0777, .mtime = 1 };
		size_t count = tar_write_header(blocks, &entry);
		CHECK(count > 0 && count % TAR_BLOCK == 0 && count <= sizeof blocks);
		CHECK(tar_checksum_fits(blocks) && tar_checksum_fits(blocks + count - TAR_BLOCK));
		CHECK((blocks[156] == 'x') == (length > 100));
		if (length <= 100)
			continue;
		uint64_t size;
		CHECK(tar_number((const char *)blocks + 124, 12, &size));
		memset(&untar, 0, sizeof untar);
		untar.place = &unused;
		CHECK(pax_parse(&untar, (const char *)blocks + TAR_BLOCK, (size_t)size));
		CHECK(strcmp(untar.path, path) == 0 && strcmp(untar.target, target) == 0);
	}
}

static void names_that_are_too_long_together_are_refused_by_the_writer(void)
{
	static char path[4097], target[4097];
	static uint8_t blocks[TAR_MAX_HEADER];
	memset(path, 'p', 4096);
	memset(target, 't', 4096);
	struct tar_entry entry = { .type = '2', .path = path, .target = target };
	CHECK(tar_write_header(blocks, &entry) == 0);
}

/* Visits everything below the target. Returns "path " for each entry and "!path " for what was left out. */
static const char *walk_all(const char *list, size_t length)
{
	static struct walk walk;
	static char found[65536];
	int error;
	char *copy = malloc(length);
	CHECK(copy != NULL);
	memcpy(copy, list, length);
	memset(&walk, 0, sizeof walk);
	CHECK(walk_open(&walk, ground_target, copy, length) == 0);
	found[0] = 0;
	for (;;) {
		enum walk_outcome outcome = walk_next(&walk, &error);
		if (outcome == WALK_END)
			break;
		if (outcome == WALK_ENTRY || outcome == WALK_LEFT_OUT)
			(void)snprintf(found + strlen(found), sizeof found - strlen(found), "%s%.60s ", outcome == WALK_ENTRY ? "" : "!", walk.path);
		if (walk.file >= 0)
			(void)close(walk.file);
		walk.file = -1;
	}
	walk_close(&walk);
	return found;
}

static void a_walk_follows_nothing_and_leaves_nothing(void)
{
	archive_file(&archive, "d/f", "x");
	archive_header(&archive, '2', "out", "../outside", 0);
	archive_header(&archive, '2', "d/up", "..", 0);
	archive_end(&archive);
	CHECK(unpack() == UNTAR_FINE);
	static const char list[] = "out\0out/x\0../outside\0/etc\0missing\0d/./f\0d/up/d";
	const char *found = walk_all(list, sizeof list);
	CHECK(strcmp(found, "out !out/x !../outside !/etc !missing d/f !d/up/d ") == 0);
	found = walk_all(".", 2);
	CHECK(strstr(found, "d/f ") != NULL && strstr(found, "out ") != NULL && strstr(found, "outside") == NULL);
	ground_clear();
}

static void a_walk_stops_at_128_levels(void)
{
	static char name[600];
	for (int at = 0; at < 140; at++)
		memcpy(name + 2 * at, "d/", 3);
	archive_header(&archive, '5', "d", "", 0);
	archive_long(&archive, 'L', name);
	archive_header(&archive, '5', "cut", "", 0);
	archive_end(&archive);
	CHECK(unpack() == UNTAR_FINE && notes[0] == 0);
	const char *found = walk_all("d", 2);
	size_t entries = 0;
	for (const char *at = found; *at != 0; at++)
		entries += *at == ' ';
	CHECK(entries == 129 && strstr(found, "!") != NULL);
	ground_clear();
}

void unit_tar(void)
{
	ground_make();
	TEST(files_directories_and_links_come_out_with_modes_and_times);
	TEST(an_entry_replaces_a_file_or_link_but_not_a_directory);
	TEST(nothing_leads_outside);
	TEST(hard_links_and_devices_are_left_out);
	TEST(a_link_or_device_with_a_body_is_malformed);
	TEST(a_bad_checksum_is_malformed);
	TEST(a_truncated_archive_is_malformed_and_leaves_no_half_file);
	TEST(sizes_are_what_they_say_or_malformed);
	TEST(terabytes_that_never_come_take_no_space);
	TEST(pax_records_are_strict);
	TEST(pax_times_may_have_fractions_and_signs);
	TEST(chains_of_extended_headers_are_malformed);
	TEST(long_names_work_until_they_are_too_long);
	TEST(a_ustar_prefix_counts_only_in_posix_archives);
	TEST(sparse_files_are_left_out);
	TEST(what_follows_the_end_is_dropped);
	TEST(a_directory_list_longer_than_memory_allows_is_settled_early);
	TEST(headers_written_are_read_back);
	TEST(names_that_are_too_long_together_are_refused_by_the_writer);
	TEST(a_walk_follows_nothing_and_leaves_nothing);
	TEST(a_walk_stops_at_128_levels);
	ground_remove();
}
