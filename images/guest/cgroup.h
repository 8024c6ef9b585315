/* The counters of our control group, in both versions of the interface. */
#ifndef CGROUP_H
#define CGROUP_H

#include <stdbool.h>
#include <stdint.h>

/* Keys 1 to 13 and 20 of STATS. Returns false when the kernel does not offer the value. */
bool cgroup_read(unsigned int key, uint64_t *value);

#endif
