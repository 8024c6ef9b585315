/* An address and a port of the sandbox's own loopback. */
#ifndef ENDPOINT_H
#define ENDPOINT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>

struct endpoint {
	uint32_t address; /* in 127.0.0.0/8, host byte order */
	uint16_t port;
};

static inline struct sockaddr_in endpoint_name(struct endpoint at)
{
	struct sockaddr_in name = {
		.sin_family = AF_INET,
		.sin_port = htons(at.port),
		.sin_addr = { htonl(at.address) },
	};
	return name;
}

#endif
