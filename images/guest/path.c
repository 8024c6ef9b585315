#include "path.h"

#include <errno.h>
#include <string.h>

int path_clean(const char *path, char *clean)
{
	size_t length = 0;
	if (*path == '/' || *path == 0)
		return EINVAL;
	if (strlen(path) > MAX_PATH)
		return ENAMETOOLONG;
	while (*path != 0) {
		size_t component = strcspn(path, "/");
		if (component == 2 && path[0] == '.' && path[1] == '.')
			return EINVAL;
		if (component > 0 && !(component == 1 && *path == '.')) {
			if (length > 0)
				clean[length++] = '/';
			memcpy(clean + length, path, component);
			length += component;
		}
		path += component;
		path += *path == '/';
	}
	clean[length] = 0;
	return 0;
}

const char *path_name(const char *clean, size_t *parent_length)
{
	const char *slash = strrchr(clean, '/');
	*parent_length = slash == NULL ? 0 : (size_t)(slash - clean);
	return slash == NULL ? clean : slash + 1;
}
