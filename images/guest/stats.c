#include "stats.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "cgroup.h"
#include "command.h"
#include "loop.h"
#include "output.h"

enum {
	MEMORY_NOW = 1,
	MEMORY_PEAK = 2,
	PIDS_NOW = 5,
	PIDS_PEAK = 6,
	LAST_CGROUP_KEY = 13,
	BYTES_USED = 14,
	BYTES_ALL = 15,
	INODES_USED = 16,
	INODES_ALL = 17,
	BYTES_PEAK = 18,
	INODES_PEAK = 19,
	MEMORY_REFUSED = 20,
	ENTRY_BYTES = 12,
	MOST_ENTRIES = LAST_CGROUP_KEY + 1 + 6 * MAX_WATCHED,
	SAMPLE_NS = 200 * 1000 * 1000,
};

struct level {
	uint64_t now;
	uint64_t all;
	uint64_t peak;
};

struct watched {
	const char *path;
	struct level bytes;
	struct level inodes;
	bool known;
};

static struct source timer = { .fd = -1 };
static bool ticking;
static char paths[MAX_WATCHED * MAX_PATH];
static struct watched watched[MAX_WATCHED];
static size_t watched_count;
static uint64_t memory_peak;
static uint64_t pids_peak;

int stats_open(void)
{
	timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	return timer.fd < 0 ? errno : loop_watch(&timer, WATCH_INPUT);
}

bool stats_watch(const char *list, size_t length)
{
	if (length > sizeof paths || (length > 0 && list[length - 1] != 0))
		return false;
	memcpy(paths, list, length);
	watched_count = 0;
	for (size_t at = 0; at < length; at += strlen(paths + at) + 1) {
		if (watched_count == MAX_WATCHED || strlen(paths + at) >= MAX_PATH)
			return false;
		watched[watched_count++] = (struct watched){ .path = paths + at };
	}
	return true;
}

static void raise_to(uint64_t *peak, uint64_t value)
{
	if (value > *peak)
		*peak = value;
}

static void set_level(struct level *level, uint64_t all, uint64_t available, uint64_t unit)
{
	level->all = all * unit;
	level->now = all > available ? (all - available) * unit : 0;
	raise_to(&level->peak, level->now);
}

static void sample(void)
{
	uint64_t value;
	for (size_t at = 0; at < watched_count; at++) {
		struct statvfs file_system;
		if (statvfs(watched[at].path, &file_system) != 0)
			continue;
		watched[at].known = true;
		set_level(&watched[at].bytes, file_system.f_blocks, file_system.f_bfree, file_system.f_frsize);
		set_level(&watched[at].inodes, file_system.f_files, file_system.f_ffree, 1);
	}
	if (cgroup_read(MEMORY_NOW, &value))
		raise_to(&memory_peak, value);
	if (cgroup_read(PIDS_NOW, &value))
		raise_to(&pids_peak, value);
}

static void set_ticking(bool on)
{
	struct itimerspec every = { .it_value.tv_nsec = on ? SAMPLE_NS : 0, .it_interval.tv_nsec = on ? SAMPLE_NS : 0 };
	if (on != ticking && timerfd_settime(timer.fd, 0, &every, NULL) == 0)
		ticking = on;
}

void stats_tick(void)
{
	uint64_t expirations;
	bool running = commands_alive();
	bool expired = timer.readable && read(timer.fd, &expirations, sizeof expirations) > 0;
	timer.readable = false;
	/* Also at the last command's end: what it filled may be gone before anybody asks. */
	if (expired || (ticking && !running))
		sample();
	set_ticking(running);
}

static size_t add(uint8_t *entry, unsigned int key, size_t index, uint64_t value)
{
	put_u16(entry, (uint16_t)key);
	put_u16(entry + 2, (uint16_t)index);
	put_u64(entry + 4, value);
	return ENTRY_BYTES;
}

static size_t add_counter(uint8_t *entry, unsigned int key)
{
	uint64_t value = 0;
	uint64_t sampled = key == MEMORY_PEAK ? memory_peak : key == PIDS_PEAK ? pids_peak : 0;
	bool found = cgroup_read(key, &value);
	raise_to(&value, sampled);
	return found || sampled > 0 ? add(entry, key, 0, value) : 0;
}

static size_t add_watched(uint8_t *entry, size_t index)
{
	const struct watched *one = &watched[index];
	size_t length = 0;
	if (!one->known)
		return 0;
	length += add(entry + length, BYTES_USED, index, one->bytes.now);
	length += add(entry + length, BYTES_ALL, index, one->bytes.all);
	length += add(entry + length, BYTES_PEAK, index, one->bytes.peak);
	if (one->inodes.all == 0) /* btrfs and overlays of it count none */
		return length;
	length += add(entry + length, INODES_USED, index, one->inodes.now);
	length += add(entry + length, INODES_ALL, index, one->inodes.all);
	length += add(entry + length, INODES_PEAK, index, one->inodes.peak);
	return length;
}

void stats_send(void)
{
	uint8_t payload[MOST_ENTRIES * ENTRY_BYTES];
	size_t length = 0;
	sample();
	for (unsigned int key = 1; key <= LAST_CGROUP_KEY; key++)
		length += add_counter(payload + length, key);
	length += add_counter(payload + length, MEMORY_REFUSED);
	for (size_t index = 0; index < watched_count; index++)
		length += add_watched(payload + length, index);
	output_frame(0, STATS, payload, length);
}
