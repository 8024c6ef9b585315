/* Where the task's connections and datagrams arrive: on loopback addresses that the host names. */
#ifndef LISTENER_H
#define LISTENER_H

#include "frame.h"

/* Takes LISTEN and answers LISTENING. */
void listener_open(const struct frame *frame, uint32_t window);

#endif
