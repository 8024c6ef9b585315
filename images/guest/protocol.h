/* The numbers of docs/protocol.md, and the byte order they travel in. */
#ifndef PROTOCOL_H
#define PROTOCOL_H

#include <stddef.h>
#include <stdint.h>

enum {
	PROTOCOL_VERSION = 1,
	HEADER_BYTES = 8,
	MAX_PAYLOAD = 65536,
	MIN_WINDOW = 4096,
	MAX_WINDOW = 1048576,
	GUEST_WINDOW = 524288,
	CONNECTION_WINDOW = 262144,
	MAX_OUTSTANDING = 2147483647,
	MAX_STREAM = 0x7fffffff,
	MAX_WATCHED = 16,
	MAX_PATH = 4096,
	MAX_COMMAND_BYTES = 1048576,
	EXIT_FAULT = 70,
};

enum frame_type {
	HELLO = 0x01,
	WELCOME = 0x02,
	QUIESCE = 0x03,
	QUIESCED = 0x04,
	STATS_REQUEST = 0x05,
	STATS = 0x06,
	PING = 0x07,
	PONG = 0x08,
	FAULT = 0x09,
	KNOCK = 0x0a,
	SWEEP = 0x0b,
	SWEPT = 0x0c,
	EXEC_BODY = 0x10,
	EXEC = 0x11,
	STARTED = 0x12,
	EXIT = 0x13,
	SIGNAL = 0x14,
	RESIZE = 0x15,
	FAILED = 0x1f,
	DATA = 0x20,
	END = 0x21, /* EOF on the page; stdio.h owns that word in C */
	CREDIT = 0x22,
	STOP = 0x23,
	UNPACK = 0x30,
	PACK = 0x31,
	DONE = 0x32,
	NOTE = 0x33,
	LISTEN = 0x40,
	LISTENING = 0x41,
	DATAGRAM = 0x42,
	CONNECTION = 0x43,
	RESET = 0x44,
};

static inline uint16_t get_u16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t get_u32(const uint8_t *at)
{
	return (uint32_t)get_u16(at) << 16 | get_u16(at + 2);
}

static inline void put_u16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline void put_u32(uint8_t *at, uint32_t value)
{
	put_u16(at, (uint16_t)(value >> 16));
	put_u16(at + 2, (uint16_t)value);
}

static inline void put_u64(uint8_t *at, uint64_t value)
{
	put_u32(at, (uint32_t)(value >> 32));
	put_u32(at + 4, (uint32_t)value);
}

#endif
