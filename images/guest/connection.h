/* One connection of the task: a stream to the host, who decides what is at its other end. */
#ifndef CONNECTION_H
#define CONNECTION_H

#include "endpoint.h"
#include "frame.h"
#include "operation.h"

/* Takes over an accepted socket, and tells the host. */
void connection_open(int fd, struct endpoint at, uint32_t window);
/* Takes a frame of a stream in the upper half of the ids. */
void connection_frame(const struct frame *frame);
/* Closes a socket so that the other side sees a reset, not an end. */
void reset_fd(int *fd);

#endif
