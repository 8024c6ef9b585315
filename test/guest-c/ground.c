#include "ground.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

char ground[64];
char ground_target[80];
static char outside[80];

void ground_make(void)
{
	(void)snprintf(ground, sizeof ground, "%s/guest-test-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	CHECK(mkdtemp(ground) != NULL);
	(void)snprintf(ground_target, sizeof ground_target, "%s/target", ground);
	(void)snprintf(outside, sizeof outside, "%s/outside", ground);
	CHECK(mkdir(ground_target, 0755) == 0 && mkdir(outside, 0755) == 0);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
	(void)status;
	(void)type;
	if (where->level > 0)
		CHECK(remove(path) == 0);
	return 0;
}

/* nftw() visits contents before their directory, so a directory that can't be read must be opened up first. */
static int open_up(const char *path, const struct stat *status, int type, struct FTW *where)
{
	(void)where;
	if (type == FTW_D || type == FTW_DNR)
		(void)chmod(path, status->st_mode | 0700);
	return 0;
}

static void empty(const char *path)
{
	CHECK(nftw(path, open_up, 16, FTW_PHYS) == 0);
	CHECK(nftw(path, remove_one, 16, FTW_PHYS | FTW_DEPTH) == 0);
}

void ground_clear(void)
{
	empty(ground_target);
}

static int count_entries(const char *path)
{
	int count = 0;
	DIR *directory = opendir(path);
	CHECK(directory != NULL);
	while (readdir(directory) != NULL)
		count++;
	(void)closedir(directory);
	return count;
}

void ground_check_outside(void)
{
	struct stat status;
	CHECK(count_entries(outside) == 2);
	CHECK(count_entries(ground) == 4);
	CHECK(stat(outside, &status) == 0 && (status.st_mode & 07777) == 0755);
}

void ground_remove(void)
{
	empty(ground);
	CHECK(rmdir(ground) == 0);
}
