/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server/origin.h"

#include <errno.h>
#include <stdlib.h>

#include "core/server/local.h"

struct origin {
	struct local *local;
};

/* What a stranger said, as text that no browser and no terminal takes for anything else. */
static void put_escaped(struct growbuf *out, struct slice text)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < text.len; i++) {
		unsigned char c = (unsigned char)text.ptr[i];

		if (c >= ' ' && c < 0x7f && !strchr("<>&\"'\\", c)) {
			growbuf_char(out, (char)c);
			continue;
		}
		growbuf_lit(out, "\\x");
		growbuf_char(out, digits[c >> 4]);
		growbuf_char(out, digits[c & 15]);
	}
}

static void put_fact(struct growbuf *out, struct slice name, struct slice value)
{
	growbuf_lit(out, "  ");
	growbuf_put(out, name);
	growbuf_lit(out, ": ");
	if (value.len > 0)
		put_escaped(out, value);
	else
		growbuf_lit(out, "(none)");
	growbuf_char(out, '\n');
}

static void put_number(struct growbuf *out, struct slice name, uint64_t value)
{
	growbuf_lit(out, "  ");
	growbuf_put(out, name);
	growbuf_lit(out, ": ");
	growbuf_u64(out, value);
	growbuf_char(out, '\n');
}

static void handle(void *owner, const struct local_request *request, struct local_answer *answer)
{
	struct growbuf *out = &answer->body;

	(void)owner;
	if (request->method == HTTP_GET || request->method == HTTP_HEAD)
		growbuf_lit(out,
			    "Hello from behind Sluice.\n\n"
			    "Sluice is an edge gateway for Linux: a strict, fast HTTP reverse\n"
			    "proxy on io_uring. This page comes from the origin that --demo\n"
			    "starts; give --upstream URL to proxy to a server of yours.\n\n");
	growbuf_lit(out, "What came through the gateway:\n");
	put_fact(out, SLICE("method"), http_method_name(request->method));
	put_number(out, SLICE("path length"), request->path_len);
	put_number(out, SLICE("body bytes"), request->body_len);
	put_fact(out, SLICE("x-forwarded-for"), request->forwarded_for);
	put_fact(out, SLICE("x-request-id"), request->request_id);
}

int origin_open(struct proxy *proxy, struct origin **ret_origin)
{
	static const struct ring_addr loopback = { .family = AF_INET, .ip = { 127, 0, 0, 1 } };
	struct origin *origin = calloc(1, sizeof(*origin));
	struct local_options opt = { .owner = origin, .handler = handle, .reads_bodies = true };
	int r;

	if (!origin)
		return -ENOMEM;
	r = local_open(proxy, &loopback, &opt, &origin->local);
	if (r < 0) {
		free(origin);
		return r;
	}
	*ret_origin = origin;
	return 0;
}

const struct ring_addr *origin_addr(const struct origin *origin)
{
	return local_addr(origin->local);
}

void origin_close(struct origin *origin)
{
	local_close(origin->local);
}

bool origin_is_quiet(const struct origin *origin)
{
	return local_is_quiet(origin->local);
}

void origin_free(struct origin *origin)
{
	local_free(origin->local);
	free(origin);
}
