/* Flow control of one direction of one stream, and the bytes whose consumer is not ready. */
#ifndef STREAM_H
#define STREAM_H

#include <stdbool.h>

#include "protocol.h"

/* What the host sends us. */
struct inflow {
	uint32_t window;  /* bytes that may be under way or wait here */
	uint32_t credit;  /* DATA bytes that the host may still send */
	uint32_t owed;    /* handed on and not yet granted again */
	bool ended;       /* the host sent EOF */
	bool stopped;     /* nobody wants more */
	uint8_t *queue;   /* `window` bytes, allocated while something waits */
	size_t queue_start;
	size_t queue_end;
};

/* What we send to the host. */
struct outflow {
	uint32_t credit;
	bool ended;   /* we sent EOF */
	bool stopped; /* the host sent STOP */
};

void inflow_open(struct inflow *in, uint32_t window);
/* Counts arriving DATA; a violation when it was not granted. */
void inflow_take(struct inflow *in, size_t length);
/* Counts the host's EOF; a violation when it is the second. */
void inflow_end(struct inflow *in);
/* Keeps bytes for later. */
void inflow_keep(struct inflow *in, const uint8_t *bytes, size_t length);
const uint8_t *inflow_kept(const struct inflow *in, size_t *length);
void inflow_drop_kept(struct inflow *in, size_t length);
/* Bytes were handed on: grants them again once it is worth a frame. */
void inflow_consumed(struct inflow *in, uint32_t stream, size_t length);
/* No more is wanted; sends STOP unless the host has ended its side anyway. */
void inflow_stop(struct inflow *in, uint32_t stream);
void inflow_close(struct inflow *in);

void outflow_open(struct outflow *out, uint32_t window);
/* Takes the payload of CREDIT; a violation when it lifts the total too high. */
void outflow_grant(struct outflow *out, const uint8_t *payload, size_t length);
/* Sends EOF, once. */
void outflow_end(struct outflow *out, uint32_t stream);

#endif
