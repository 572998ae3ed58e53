/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/document/decode.h"
#include "core/document/pack.h"
#include "tools/gwtool_ask.h"

enum {
	LENGTH_SIZE = 4,
	REQUEST_LEAST = 1024,
	REQUEST_MAX = 32 << 20,
	TIMEOUT_S = 10,
};

void gwtool_ask_path(char path[GWTOOL_PATH_MAX])
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	static const char usual[] = "/run/sluice/control.sock";
	int len = 0;

	if (runtime && access(usual, F_OK) < 0)
		len = snprintf(path, GWTOOL_PATH_MAX, "%s/sluice/control.sock", runtime);
	if (len <= 0 || len >= GWTOOL_PATH_MAX || access(path, F_OK) < 0)
		memcpy(path, usual, sizeof(usual));
}

static int dial(const char *path, int *ret_fd)
{
	const struct timeval timeout = { .tv_sec = TIMEOUT_S };
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	size_t len = strlen(path);
	int fd, r;

	if (len >= sizeof(at.sun_path))
		return -ENAMETOOLONG;
	memcpy(at.sun_path, path, len);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0 ||
	    connect(fd, (const struct sockaddr *)&at, sizeof(at)) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

static void put_length(char *at, size_t len)
{
	for (int i = 0; i < LENGTH_SIZE; i++)
		at[i] = (char)(len >> (24 - 8 * i));
}

/* The frame, malloced; NULL when there is no memory, or *ret_len 0: it is too long. */
static char *make_frame(const struct gwtool_question *q, size_t *ret_len)
{
	*ret_len = 0;
	for (size_t size = REQUEST_LEAST;; size *= 2) {
		char *frame = malloc(LENGTH_SIZE + size);
		struct pack p = pack_make(frame + LENGTH_SIZE, size);

		if (!frame)
			return NULL;
		pack_map(&p, q->args ? 4 : 3);
		pack_entry_u64(&p, "v", 1);
		pack_entry_u64(&p, "id", 1);
		pack_entry_text(&p, "command", slice_of(q->command));
		if (q->args) {
			pack_key(&p, "args");
			q->args(&p, q->owner);
		}
		if (!p.w.overflow) {
			*ret_len = LENGTH_SIZE + writer_len(&p.w);
			put_length(frame, writer_len(&p.w));
			return frame;
		}
		if (size >= REQUEST_MAX)
			return frame;
		free(frame);
	}
}

static int send_all(int fd, const char *bytes, size_t len)
{
	for (size_t sent = 0; sent < len;) {
		ssize_t n = send(fd, bytes + sent, len - sent, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		sent += (size_t)n;
	}
	return 0;
}

static int send_request(int fd, const struct gwtool_question *q)
{
	size_t len;
	char *frame = make_frame(q, &len);
	int r;

	if (!frame)
		return -ENOMEM;
	r = len ? send_all(fd, frame, len) : -EMSGSIZE;
	free(frame);
	return r;
}

static int receive(int fd, char *buf, size_t len)
{
	for (size_t got = 0; got < len;) {
		ssize_t n = recv(fd, buf + got, len - got, 0);

		if (n == 0)
			return -EPIPE;
		if (n < 0)
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		got += (size_t)n;
	}
	return 0;
}

static int receive_reply(int fd, struct document **ret_reply)
{
	struct report rep;
	unsigned char head[LENGTH_SIZE];
	size_t len;
	char *frame;
	int r = receive(fd, (char *)head, sizeof(head));

	if (r < 0)
		return r;
	len = (size_t)head[0] << 24 | (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
	if (len == 0 || len > GWTOOL_REPLY_MAX)
		return -EPROTO;
	frame = malloc(len);
	if (!frame)
		return -ENOMEM;
	r = receive(fd, frame, len);
	report_init(&rep, NULL);
	if (r == 0 && decode_read(slice_make(frame, len), &rep, ret_reply) < 0)
		r = -EPROTO;
	free(frame);
	return r;
}

/* The result or the error in a reply; NULL when it has neither. */
static const struct document_node *find_result(const struct document *reply, bool *ret_ok)
{
	const struct document_node *root = document_root(reply), *ok, *result;

	if (root->kind != DOCUMENT_MAP)
		return NULL;
	ok = document_get(root, SLICE("ok"));
	if (!ok || ok->kind != DOCUMENT_BOOL)
		return NULL;
	result = document_get(root, ok->boolean ? SLICE("result") : SLICE("error"));
	if (result && !ok->boolean && result->kind != DOCUMENT_MAP)
		return NULL;
	*ret_ok = ok->boolean;
	return result;
}

/* Who hangs up in the midst of a request may have said why. */
static int ask(int fd, const struct gwtool_question *question, struct document **ret_reply)
{
	int sent = send_request(fd, question);
	int got = sent == 0 || sent == -EPIPE || sent == -ECONNRESET ? receive_reply(fd, ret_reply)
								     : sent;

	return got < 0 && sent < 0 ? sent : got;
}

int gwtool_ask(const char *path, const struct gwtool_question *question,
	       struct document **ret_reply, const struct document_node **ret_result, bool *ret_ok)
{
	const struct document_node *result;
	struct document *reply = NULL;
	int fd = -1, r = dial(path, &fd);

	if (r < 0)
		return r;
	r = ask(fd, question, &reply);
	close(fd);
	if (r < 0)
		return r;
	result = find_result(reply, ret_ok);
	if (!result) {
		document_free(reply);
		return -EPROTO;
	}
	*ret_reply = reply;
	*ret_result = result;
	return 0;
}

struct slice gwtool_ask_policy_path(struct slice path)
{
	if (slice_starts_with(path, SLICE("policy.")))
		return slice_drop(path, strlen("policy."));
	return slice_eq(path, SLICE("policy")) ? SLICE("") : path;
}
