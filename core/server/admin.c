/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server/admin.h"

#include <errno.h>
#include <stdlib.h>

#include "core/server/local.h"

struct admin {
	struct admin_source source;
	struct local *local;
};

static void metrics(const struct admin *admin, struct local_answer *answer)
{
	answer->type = SLICE("text/plain; version=0.0.4; charset=utf-8");
	admin->source.metrics(admin->source.owner, &answer->body);
}

static void livez(const struct admin *admin, struct local_answer *answer)
{
	(void)admin; /* That this runs is the answer. */
	growbuf_lit(&answer->body, "ok\n");
}

static void readyz(const struct admin *admin, struct local_answer *answer)
{
	const char *unready = admin->source.unready(admin->source.owner);

	if (unready) {
		answer->status = 503;
		answer->lines = SLICE("retry-after: 1\r\n");
	}
	growbuf_put(&answer->body, unready ? slice_of(unready) : SLICE("ok"));
	growbuf_char(&answer->body, '\n');
}

static const struct {
	struct slice path;
	void (*answer)(const struct admin *admin, struct local_answer *answer);
} pages[] = {
	{ SLICE_INIT("/metrics"), metrics },
	{ SLICE_INIT("/livez"), livez },
	{ SLICE_INIT("/readyz"), readyz },
};

static void not_found(struct local_answer *answer)
{
	answer->status = 404;
	growbuf_lit(&answer->body, "not found; there are");
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
		growbuf_char(&answer->body, ' ');
		growbuf_put(&answer->body, pages[i].path);
	}
	growbuf_char(&answer->body, '\n');
}

static void handle(void *owner, const struct local_request *request, struct local_answer *answer)
{
	const struct admin *admin = owner;

	for (size_t i = 0; i < ARRAY_SIZE(pages); i++) {
		if (!slice_eq(request->path, pages[i].path))
			continue;
		if (request->method == HTTP_GET || request->method == HTTP_HEAD) {
			pages[i].answer(admin, answer);
			return;
		}
		answer->status = 405;
		answer->lines = SLICE("allow: GET, HEAD\r\n");
		growbuf_lit(&answer->body, "method not allowed\n");
		return;
	}
	not_found(answer);
}

int admin_open(struct proxy *proxy, const struct ring_addr *addr, const struct admin_source *source,
	       struct admin **ret_admin)
{
	struct admin *admin = calloc(1, sizeof(*admin));
	struct local_options opt = { .owner = admin, .handler = handle };
	int r;

	if (!admin)
		return -ENOMEM;
	GW_ASSERT(source->metrics && source->unready);
	admin->source = *source;
	r = local_open(proxy, addr, &opt, &admin->local);
	if (r < 0) {
		free(admin);
		return r;
	}
	*ret_admin = admin;
	return 0;
}

const struct ring_addr *admin_addr(const struct admin *admin)
{
	return local_addr(admin->local);
}

void admin_close(struct admin *admin)
{
	local_close(admin->local);
}

bool admin_is_quiet(const struct admin *admin)
{
	return local_is_quiet(admin->local);
}

void admin_free(struct admin *admin)
{
	local_free(admin->local);
	free(admin);
}
