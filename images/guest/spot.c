#include "spot.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loop.h"
#include "path.h"

int spots_open(struct spots *spots, const char *directory)
{
	spots->parent = -1;
	spots->parent_length = 0;
	spots->root = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return spots->root < 0 ? errno : 0;
}

/* One step down, never through a symbolic link. */
static int open_below(int at, const char *name, bool make)
{
	int flags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(at, name, flags);
	if (fd >= 0 || errno != ENOENT || !make)
		return fd;
	if (mkdirat(at, name, 0755) != 0 && errno != EEXIST)
		return -1;
	return openat(at, name, flags);
}

static bool is_above(const struct spots *spots, const char *path, size_t length)
{
	size_t known = spots->parent_length;
	return spots->parent >= 0 && known <= length && memcmp(spots->parent_path, path, known) == 0 &&
	       (known == length || path[known] == '/');
}

/* Finds the directory of a clean path's first `length` bytes and keeps it as `parent`. */
static int enter(struct spots *spots, const char *path, size_t length, bool make)
{
	char name[MAX_PATH + 1];
	size_t at = 0;
	if (is_above(spots, path, length))
		at = spots->parent_length;
	else
		close_fd(&spots->parent);
	while (at < length) {
		size_t begin = path[at] == '/' ? at + 1 : at;
		size_t end = begin + strcspn(path + begin, "/");
		memcpy(name, path + begin, end - begin);
		name[end - begin] = 0;
		int next = open_below(spots->parent >= 0 ? spots->parent : spots->root, name, make);
		int error = errno;
		close_fd(&spots->parent);
		if (next < 0)
			return error;
		spots->parent = next;
		at = end;
	}
	memcpy(spots->parent_path, path, length);
	spots->parent_length = length;
	return 0;
}

int spot_find(struct spots *spots, const char *path, bool make, struct spot *spot)
{
	size_t length;
	int error = path_clean(path, spot->path);
	if (error != 0)
		return error;
	spot->name = path_name(spot->path, &length);
	spot->parent = spots->root;
	if (length == 0)
		return 0;
	error = enter(spots, spot->path, length, make);
	spot->parent = spots->parent;
	return error;
}

void spots_close(struct spots *spots)
{
	close_fd(&spots->parent);
	close_fd(&spots->root);
}
