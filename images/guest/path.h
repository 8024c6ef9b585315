/* Paths below a directory, as text. */
#ifndef PATH_H
#define PATH_H

#include <stddef.h>

#include "protocol.h"

/* Writes `path` without empty and "." components into `clean` (MAX_PATH + 1 bytes), which is empty for the directory
 * itself. Returns 0, EINVAL for an absolute path or one with "..", or ENAMETOOLONG. */
int path_clean(const char *path, char *clean);
/* The last component of a clean path, and the length of what is before its slash. */
const char *path_name(const char *clean, size_t *parent_length);

#endif
