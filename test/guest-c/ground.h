/* A directory on a file system in memory, with a place to unpack into and a place that must stay as it is. */
#ifndef GROUND_H
#define GROUND_H

extern char ground[64];
extern char ground_target[80];

void ground_make(void);
/* Empties the target. */
void ground_clear(void);
/* Removes all of it. Fails the test if anything but the target was touched. */
void ground_check_outside(void);
void ground_remove(void);

#endif
