#include "walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loop.h"
#include "path.h"

int walk_open(struct walk *walk, const char *directory, char *list, size_t length)
{
	walk->list = list;
	walk->list_length = length;
	walk->file = -1;
	walk->root = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return walk->root < 0 ? errno : 0;
}

static enum walk_outcome leave_out(int *error, int reason)
{
	*error = reason;
	return WALK_LEFT_OUT;
}

/* `at` and `name` are the directory; its path stands in `path`. */
static int descend(struct walk *walk, int at, const char *name)
{
	if (walk->depth == WALK_DEPTH)
		return ENAMETOOLONG;
	int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno;
	DIR *directory = fdopendir(fd);
	if (directory == NULL) {
		int error = errno;
		close_fd(&fd);
		return error;
	}
	walk->levels[walk->depth++] = (struct walk_level){ .directory = directory, .path_length = strlen(walk->path) };
	return 0;
}

/* The descriptor's own status counts from here on: the name may stand for something else by now. */
static int open_file(struct walk *walk, int at, const char *name)
{
	walk->file = openat(at, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (walk->file < 0)
		return errno;
	int error = fstat(walk->file, &walk->status) != 0 ? errno : 0;
	if (error == 0 && !S_ISREG(walk->status.st_mode))
		error = ESTALE;
	if (error != 0)
		close_fd(&walk->file);
	return error;
}

static int read_link(struct walk *walk, int at, const char *name)
{
	ssize_t length = readlinkat(at, name, walk->target, sizeof walk->target);
	if (length < 0)
		return errno;
	if ((size_t)length == sizeof walk->target)
		return ENAMETOOLONG;
	walk->target[length] = 0;
	return 0;
}

static enum walk_outcome visit(struct walk *walk, int at, const char *name, int *error)
{
	walk->target[0] = 0;
	*error = fstatat(at, name, &walk->status, AT_SYMLINK_NOFOLLOW) != 0 ? errno : 0;
	if (*error != 0)
		return WALK_LEFT_OUT;
	if (S_ISDIR(walk->status.st_mode))
		*error = descend(walk, at, name);
	else if (S_ISREG(walk->status.st_mode))
		*error = open_file(walk, at, name);
	else if (S_ISLNK(walk->status.st_mode))
		*error = read_link(walk, at, name);
	else if (S_ISSOCK(walk->status.st_mode))
		*error = EOPNOTSUPP; /* tar has no type for it */
	return *error != 0 ? WALK_LEFT_OUT : WALK_ENTRY;
}

/* Walks down to the directory that holds a clean path. Returns a descriptor, or -1 and errno. */
static int open_parent(const struct walk *walk, size_t length)
{
	char name[MAX_PATH + 1];
	int at = openat(walk->root, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	for (size_t begin = 0; at >= 0 && begin < length;) {
		size_t component = strcspn(walk->path + begin, "/");
		memcpy(name, walk->path + begin, component);
		name[component] = 0;
		int next = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		int error = errno;
		close_fd(&at);
		errno = error;
		at = next;
		begin += component + 1;
	}
	return at;
}

static enum walk_outcome next_listed(struct walk *walk, int *error)
{
	const char *listed = walk->list + walk->list_at;
	size_t length;
	if (walk->list_at == walk->list_length)
		return WALK_END;
	walk->list_at += strlen(listed) + 1;
	int wrong = path_clean(listed, walk->path);
	if (wrong != 0) {
		(void)strncpy(walk->path, listed, MAX_PATH);
		walk->path[MAX_PATH] = 0;
		return leave_out(error, wrong);
	}
	if (walk->path[0] == 0) { /* the directory itself: only what is below has a name */
		int failed = descend(walk, walk->root, ".");
		return failed != 0 ? leave_out(error, failed) : WALK_NOTHING;
	}
	const char *name = path_name(walk->path, &length);
	int parent = open_parent(walk, length);
	if (parent < 0)
		return leave_out(error, errno);
	enum walk_outcome outcome = visit(walk, parent, name, error);
	close_fd(&parent);
	return outcome;
}

static void ascend(struct walk *walk)
{
	(void)closedir(walk->levels[--walk->depth].directory);
}

enum walk_outcome walk_next(struct walk *walk, int *error)
{
	if (walk->depth == 0)
		return next_listed(walk, error);
	struct walk_level *level = &walk->levels[walk->depth - 1];
	size_t length = level->path_length;
	errno = 0;
	struct dirent *found = readdir(level->directory);
	walk->path[length] = 0;
	if (found == NULL) {
		int failed = errno;
		ascend(walk);
		return failed != 0 ? leave_out(error, failed) : WALK_NOTHING;
	}
	if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0)
		return WALK_NOTHING;
	size_t separator = length > 0;
	size_t name_length = strlen(found->d_name);
	if (length + separator + name_length > MAX_PATH)
		return leave_out(error, ENAMETOOLONG);
	if (separator)
		walk->path[length] = '/';
	memcpy(walk->path + length + separator, found->d_name, name_length + 1);
	return visit(walk, dirfd(level->directory), found->d_name, error);
}

void walk_close(struct walk *walk)
{
	while (walk->depth > 0)
		ascend(walk);
	close_fd(&walk->file);
	close_fd(&walk->root);
	free(walk->list);
	walk->list = NULL;
}
