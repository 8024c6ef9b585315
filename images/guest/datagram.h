/* Datagrams of the task, which are its name look-ups: each goes to the host as it is, and the host's answer goes back to its sender. */
#ifndef DATAGRAM_H
#define DATAGRAM_H

#include "endpoint.h"
#include "frame.h"

/* Returns 0 or an errno. There is one such socket. */
int datagram_open(struct endpoint at);
/* Takes DATAGRAM: the answer to one that we sent. */
void datagram_answer(const struct frame *frame);

#endif
