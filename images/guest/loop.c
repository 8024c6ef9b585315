#include "loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "fault.h"
#include "operation.h"

enum { EVENTS_PER_TURN = 64 };

static int epoll_fd = -1;

int loop_open(void)
{
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	return epoll_fd < 0 ? errno : 0;
}

int loop_watch(struct source *source, int what)
{
	struct epoll_event event = { .events = EPOLLET, .data.ptr = source };
	if (what & WATCH_INPUT)
		event.events |= EPOLLIN | EPOLLRDHUP;
	if (what & WATCH_OUTPUT)
		event.events |= EPOLLOUT;
	if (what & WATCH_ONCE)
		event.events |= EPOLLONESHOT;
	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, source->fd, &event) != 0 ? errno : 0;
}

void loop_await_input(struct source *source)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET | EPOLLONESHOT, .data.ptr = source };
	source->readable = false;
	if (epoll_ctl(epoll_fd, EPOLL_CTL_MOD, source->fd, &event) != 0)
		fault(errno, "epoll");
}

static void note_event(struct source *source, uint32_t events)
{
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		source->readable = true;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		source->writable = true;
	if (events & (EPOLLRDHUP | EPOLLHUP))
		source->hung_up = true;
	if (events & EPOLLERR)
		source->broken = true;
	if (source->owner != NULL)
		operation_wake(source->owner);
}

int loop_wait(int timeout_ms)
{
	struct epoll_event events[EVENTS_PER_TURN];
	int count = epoll_wait(epoll_fd, events, EVENTS_PER_TURN, timeout_ms);
	if (count < 0)
		return errno == EINTR ? 0 : errno;
	for (int at = 0; at < count; at++)
		note_event(events[at].data.ptr, events[at].events);
	return 0;
}

void close_fd(int *fd)
{
	if (*fd < 0)
		return;
	/* Linux frees the number whatever close() returns, and there is nobody to tell of a late write error. */
	(void)close(*fd);
	*fd = -1;
}

void loop_close(struct source *source)
{
	if (source->fd < 0)
		return;
	/* A child between fork and exec still holds a copy: without DEL its events would go on to reach us. */
	(void)epoll_ctl(epoll_fd, EPOLL_CTL_DEL, source->fd, NULL);
	close_fd(&source->fd);
	source->readable = source->writable = source->hung_up = source->broken = false;
}
