#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loop.h"

enum { UNSETTLED_BYTES = 256 * 1024 };

struct unsettled {
	int64_t mtime;
	uint16_t mode;
	uint16_t length; /* of the path that stands before this */
};

int place_open(struct place *place, const char *directory)
{
	place->file = -1;
	place->unsettled = NULL;
	place->unsettled_length = 0;
	return spots_open(&place->spots, directory);
}

static int remove_existing(const struct spot *spot)
{
	return unlinkat(spot->parent, spot->name, 0) != 0 ? errno : 0;
}

static void put_off(struct place *place, const char *path, unsigned int mode, int64_t mtime)
{
	struct unsettled record = { .mtime = mtime, .mode = (uint16_t)mode, .length = (uint16_t)strlen(path) };
	if (place->unsettled_length + record.length + sizeof record > UNSETTLED_BYTES)
		place_settle(place);
	if (place->unsettled == NULL)
		place->unsettled = malloc(UNSETTLED_BYTES);
	if (place->unsettled == NULL)
		return; /* the directory keeps the mode that it was made with */
	uint8_t *at = place->unsettled + place->unsettled_length;
	memcpy(at, path, record.length);
	memcpy(at + record.length, &record, sizeof record);
	place->unsettled_length += record.length + sizeof record;
}

int place_directory(struct place *place, const char *path, unsigned int mode, int64_t mtime)
{
	struct spot spot;
	struct stat status;
	int error = spot_find(&place->spots, path, true, &spot);
	if (error != 0 || *spot.name == 0)
		return error;
	/* Its contents are still to come, whatever its mode will be. */
	if (mkdirat(spot.parent, spot.name, mode | 0700) != 0) {
		if (errno != EEXIST)
			return errno;
		if (fstatat(spot.parent, spot.name, &status, AT_SYMLINK_NOFOLLOW) != 0)
			return errno;
		if (!S_ISDIR(status.st_mode))
			return ENOTDIR;
	}
	put_off(place, spot.path, mode, mtime);
	return 0;
}

int place_symlink(struct place *place, const char *path, const char *target, int64_t mtime)
{
	struct spot spot;
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = mtime } };
	int error = spot_find(&place->spots, path, true, &spot);
	if (error == 0 && *spot.name == 0)
		error = EINVAL;
	if (error != 0)
		return error;
	int made = symlinkat(target, spot.parent, spot.name);
	if (made != 0 && errno == EEXIST) {
		error = remove_existing(&spot);
		if (error != 0)
			return error;
		made = symlinkat(target, spot.parent, spot.name);
	}
	if (made != 0)
		return errno;
	/* Not every file system has times for links, and nobody misses them. */
	(void)utimensat(spot.parent, spot.name, times, AT_SYMLINK_NOFOLLOW);
	return 0;
}

int place_file(struct place *place, const char *path, unsigned int mode)
{
	struct spot spot;
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int error = spot_find(&place->spots, path, true, &spot);
	if (error == 0 && *spot.name == 0)
		error = EINVAL;
	if (error != 0)
		return error;
	place->file = openat(spot.parent, spot.name, flags, mode);
	if (place->file < 0 && errno == EEXIST) {
		error = remove_existing(&spot);
		if (error != 0)
			return error;
		place->file = openat(spot.parent, spot.name, flags, mode);
	}
	if (place->file < 0)
		return errno;
	place->file_parent = spot.parent;
	memcpy(place->file_name, spot.name, strlen(spot.name) + 1);
	return 0;
}

/* Half a file would look like a whole one. */
static void remove_file(struct place *place)
{
	close_fd(&place->file);
	(void)unlinkat(place->file_parent, place->file_name, 0);
}

int place_write(struct place *place, const uint8_t *bytes, size_t length)
{
	size_t done = 0;
	while (done < length) {
		ssize_t count = write(place->file, bytes + done, length - done);
		if (count < 0 && errno == EINTR)
			continue;
		if (count < 0) {
			int error = errno;
			remove_file(place);
			return error;
		}
		done += (size_t)count;
	}
	return 0;
}

int place_finish(struct place *place, int64_t mtime)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = mtime } };
	if (futimens(place->file, times) != 0) {
		int error = errno;
		remove_file(place);
		return error;
	}
	close_fd(&place->file);
	return 0;
}

/* Best effort: a directory that was there before may belong to somebody else. */
static void settle_one(struct place *place, const char *path, const struct unsettled *record)
{
	struct spot spot;
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = record->mtime } };
	if (spot_find(&place->spots, path, false, &spot) != 0)
		return;
	int fd = openat(spot.parent, spot.name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)fchmod(fd, record->mode);
	(void)futimens(fd, times);
	close_fd(&fd);
}

void place_settle(struct place *place)
{
	char path[MAX_PATH + 1];
	/* The last first: what is below a directory comes after it, and can't be reached once the mode forbids it. */
	while (place->unsettled_length > 0) {
		struct unsettled record;
		place->unsettled_length -= sizeof record;
		memcpy(&record, place->unsettled + place->unsettled_length, sizeof record);
		place->unsettled_length -= record.length;
		memcpy(path, place->unsettled + place->unsettled_length, record.length);
		path[record.length] = 0;
		settle_one(place, path, &record);
	}
}

void place_close(struct place *place)
{
	if (place->file >= 0)
		remove_file(place);
	spots_close(&place->spots);
	free(place->unsettled);
	place->unsettled = NULL;
	place->unsettled_length = 0;
}
