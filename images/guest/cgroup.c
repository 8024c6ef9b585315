#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { FILE_BYTES = 4096 };

/* As in linux/magic.h, which a libc without the kernel's headers does not have. */
enum { CGROUP_MAGIC = 0x27e0eb, CGROUP2_MAGIC = 0x63677270 };

/* Version 1 writes its page counter's highest value for "no limit", and version 2 the word "max". */
static const uint64_t UNLIMITED = (uint64_t)1 << 62;

enum form {
	WHOLE,   /* the file is one number */
	FIELD,   /* a line "name number" */
	COLUMN,  /* each line is "device name number", sum */
	PAIR,    /* each line has "name=number", sum */
};

struct place {
	unsigned int key;
	const char *file;
	enum form form;
	const char *name;
	uint64_t divisor;
};

/* The first place of a key that can be read is taken. */
static const struct place places[] = {
	{ 1, "memory.current", WHOLE, NULL, 1 },
	{ 1, "memory/memory.usage_in_bytes", WHOLE, NULL, 1 },
	{ 2, "memory.peak", WHOLE, NULL, 1 },
	{ 2, "memory/memory.max_usage_in_bytes", WHOLE, NULL, 1 },
	{ 3, "memory.max", WHOLE, NULL, 1 },
	{ 3, "memory/memory.limit_in_bytes", WHOLE, NULL, 1 },
	{ 4, "memory.events", FIELD, "oom_kill", 1 },
	{ 4, "memory/memory.oom_control", FIELD, "oom_kill", 1 },
	{ 5, "pids.current", WHOLE, NULL, 1 },
	{ 5, "pids/pids.current", WHOLE, NULL, 1 },
	{ 6, "pids.peak", WHOLE, NULL, 1 },
	{ 6, "pids/pids.peak", WHOLE, NULL, 1 },
	{ 7, "pids.max", WHOLE, NULL, 1 },
	{ 7, "pids/pids.max", WHOLE, NULL, 1 },
	{ 8, "pids.events", FIELD, "max", 1 },
	{ 8, "pids/pids.events", FIELD, "max", 1 },
	{ 9, "cpu.stat", FIELD, "usage_usec", 1 },
	{ 9, "cpuacct/cpuacct.usage", WHOLE, NULL, 1000 },
	{ 9, "cpu,cpuacct/cpuacct.usage", WHOLE, NULL, 1000 },
	{ 10, "cpu.stat", FIELD, "nr_throttled", 1 },
	{ 10, "cpu/cpu.stat", FIELD, "nr_throttled", 1 },
	{ 10, "cpu,cpuacct/cpu.stat", FIELD, "nr_throttled", 1 },
	{ 11, "cpu.stat", FIELD, "throttled_usec", 1 },
	{ 11, "cpu/cpu.stat", FIELD, "throttled_time", 1000 },
	{ 11, "cpu,cpuacct/cpu.stat", FIELD, "throttled_time", 1000 },
	{ 12, "io.stat", PAIR, "rbytes", 1 },
	{ 12, "blkio/blkio.throttle.io_service_bytes_recursive", COLUMN, "Read", 1 },
	{ 12, "blkio/blkio.throttle.io_service_bytes", COLUMN, "Read", 1 },
	{ 13, "io.stat", PAIR, "wbytes", 1 },
	{ 13, "blkio/blkio.throttle.io_service_bytes_recursive", COLUMN, "Write", 1 },
	{ 13, "blkio/blkio.throttle.io_service_bytes", COLUMN, "Write", 1 },
	{ 20, "memory.events", FIELD, "max", 1 },
	{ 20, "memory/memory.failcnt", WHOLE, NULL, 1 },
};

/*
 * Opens a file of the kernel's own. An image can have one of our writable places mounted over this directory through a symbolic
 * link; what the task writes there is not counted.
 */
static int open_file(const char *name)
{
	char path[128] = "/sys/fs/cgroup/";
	struct statfs file_system;
	strncat(path, name, sizeof path - strlen(path) - 1);
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return -1;
	if (fstatfs(fd, &file_system) == 0 && (file_system.f_type == CGROUP_MAGIC || file_system.f_type == CGROUP2_MAGIC))
		return fd;
	(void)close(fd);
	return -1;
}

/* Reads a whole small file as text. */
static bool read_file(const char *name, char *text)
{
	size_t done = 0;
	int fd = open_file(name);
	if (fd < 0)
		return false;
	while (done < FILE_BYTES - 1) {
		ssize_t count = read(fd, text + done, FILE_BYTES - 1 - done);
		if (count < 0 && errno == EINTR)
			continue;
		if (count <= 0)
			break;
		done += (size_t)count;
	}
	(void)close(fd);
	text[done] = 0;
	return true;
}

static bool parse_number(const char *text, uint64_t *value)
{
	char *end;
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return errno == 0;
}

/* The number behind `name` and `separator` in one line. */
static bool number_in_line(const char *line, const char *name, char separator, uint64_t *value)
{
	size_t length = strlen(name);
	for (const char *at = strstr(line, name); at != NULL; at = strstr(at + 1, name)) {
		bool begins = at == line || at[-1] == ' ';
		if (begins && at[length] == separator)
			return parse_number(at + length + 1, value);
	}
	return false;
}

static bool sum_lines(char *text, const struct place *place, uint64_t *value)
{
	bool found = false;
	char *rest = NULL;
	*value = 0;
	for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
		uint64_t one;
		if (place->form == FIELD && strncmp(line, place->name, strlen(place->name)) != 0)
			continue;
		if (!number_in_line(line, place->name, place->form == PAIR ? '=' : ' ', &one))
			continue;
		*value += one;
		found = true;
	}
	/* A group that has not touched a device has no line for it. */
	return found || place->form == COLUMN || place->form == PAIR;
}

bool cgroup_read(unsigned int key, uint64_t *value)
{
	char text[FILE_BYTES];
	for (size_t at = 0; at < sizeof places / sizeof *places; at++) {
		const struct place *place = &places[at];
		if (place->key != key || !read_file(place->file, text))
			continue;
		bool found = place->form == WHOLE ? parse_number(text, value) : sum_lines(text, place, value);
		if (!found)
			continue;
		*value /= place->divisor;
		return *value < UNLIMITED;
	}
	return false;
}
