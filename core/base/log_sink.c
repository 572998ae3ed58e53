/* SPDX-License-Identifier: Apache-2.0 */
#include "core/base/log_sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

/* What a pipe takes at once when poll() says that it takes anything (pipe(7)). */
#define PIPE_CHUNK      4096u
#define WRITES_PER_CALL 64u

static int open_path(const char *path)
{
	/* O_NONBLOCK: a FIFO without a reader must not hold us up. */
	int fd =
		open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0640);

	return fd >= 0 ? fd : -errno;
}

static bool is_regular(int fd)
{
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

int log_sink_open(struct log_sink *sink, const char *path, int fallback_fd)
{
	int r = 0;

	*sink = (struct log_sink){ .fd = fallback_fd };
	if (path && strcmp(path, "off") == 0) {
		sink->fd = -1;
	} else if (path && strcmp(path, "-") == 0) {
		sink->fd = STDOUT_FILENO;
	} else if (path) {
		sink->fd = open_path(path);
		if (sink->fd < 0)
			return sink->fd;
		sink->is_owned = true;
		sink->path = strdup(path);
	}
	sink->is_file = is_regular(sink->fd);
	sink->buf = malloc(LOG_SINK_SIZE);
	if (!sink->buf || (sink->is_owned && !sink->path))
		r = -ENOMEM;
	if (r < 0)
		log_sink_close(sink);
	return r;
}

static uint64_t count_lines(const char *ptr, size_t len)
{
	struct slice rest = slice_make(ptr, len);
	uint64_t n = 0;
	size_t at;

	while ((at = slice_find(rest, '\n')) != SLICE_NONE) {
		rest = slice_drop(rest, at + 1);
		n++;
	}
	return n;
}

static void count(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

void log_sink_close(struct log_sink *sink)
{
	count(&sink->n_dropped[LOG_DROP_BACKPRESSURE],
	      count_lines(sink->buf + sink->at, sink->len - sink->at));
	if (sink->is_owned)
		(void)close(sink->fd); /* Nothing to be done about it. */
	free(sink->path);
	free(sink->buf);
	sink->fd = -1;
	sink->is_owned = false;
	sink->path = NULL;
	sink->buf = NULL;
	sink->at = 0;
	sink->len = 0;
}

int log_sink_reopen(struct log_sink *sink)
{
	int fd;

	if (!sink->path)
		return 0;
	log_sink_write(sink);
	fd = open_path(sink->path);
	if (fd < 0)
		return fd;
	(void)close(sink->fd); /* Already written; its errors were seen there. */
	sink->fd = fd;
	sink->is_file = is_regular(fd);
	return 0;
}

/*
 * The descriptor failed: every whole line goes. The rest of a line that was
 * partly written stays, to be tried again: a reader never sees half a line
 * joined to another.
 */
static void drop_lines(struct log_sink *sink, enum log_drop why)
{
	struct slice rest = slice_make(sink->buf + sink->at, sink->len - sink->at);
	size_t keep = 0;

	if (sink->is_torn)
		keep = slice_find(rest, '\n') + 1;
	GW_ASSERT(keep <= rest.len && (keep > 0 || !sink->is_torn));
	count(&sink->n_dropped[why], count_lines(rest.ptr + keep, rest.len - keep));
	sink->len = sink->at + keep;
}

/* Makes room at the end by moving what is not written to the start. */
static void compact(struct log_sink *sink)
{
	if (sink->at == 0)
		return;
	memmove(sink->buf, sink->buf + sink->at, sink->len - sink->at);
	sink->len -= sink->at;
	sink->at = 0;
}

void log_sink_line(struct log_sink *sink, log_format_fn *format, const void *record)
{
	struct writer w;

	if (sink->fd < 0)
		return;
	if (LOG_SINK_SIZE - sink->len < LOG_LINE_MAX) {
		log_sink_write(sink);
		compact(sink);
	}
	if (LOG_SINK_SIZE - sink->len < LOG_LINE_MAX) {
		count(&sink->n_dropped[LOG_DROP_BACKPRESSURE], 1);
		return;
	}
	w = writer_make(sink->buf + sink->len, LOG_LINE_MAX);
	format(record, &w);
	if (w.overflow) {
		count(&sink->n_dropped[LOG_DROP_ERROR], 1);
		return;
	}
	GW_ASSERT(writer_len(&w) == 0 || w.ptr[-1] == '\n');
	sink->len += writer_len(&w);
}

static bool takes_bytes(const struct log_sink *sink)
{
	struct pollfd p = { .fd = sink->fd, .events = POLLOUT };

	return sink->is_file || (poll(&p, 1, 0) > 0 && (p.revents & (POLLOUT | POLLERR)));
}

/* One write; false when there is no point in another one now. */
static bool write_some(struct log_sink *sink)
{
	size_t len = sink->len - sink->at;
	ssize_t n;

	if (!takes_bytes(sink))
		return false;
	n = write(sink->fd, sink->buf + sink->at,
		  sink->is_file || len < PIPE_CHUNK ? len : PIPE_CHUNK);
	if (n > 0) {
		count(&sink->n_lines, count_lines(sink->buf + sink->at, (size_t)n));
		sink->at += (size_t)n;
		sink->is_torn = sink->buf[sink->at - 1] != '\n';
		return true;
	}
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		drop_lines(sink,
			   errno == ENOSPC || errno == EDQUOT ? LOG_DROP_ENOSPC : LOG_DROP_ERROR);
	return false;
}

void log_sink_write(struct log_sink *sink)
{
	for (unsigned i = 0; i < WRITES_PER_CALL && !log_sink_is_empty(sink); i++) {
		if (!write_some(sink))
			break;
	}
	if (log_sink_is_empty(sink)) {
		sink->at = 0;
		sink->len = 0;
	}
}
