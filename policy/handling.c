/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/handling.h"

#include "core/base/clock.h"
#include "core/base/writer.h"
#include "policy/template.h"

enum { FIXED_ROOM = 1024 }; /* For what is written here and not by an operator. */

/* As security_headers says: what browsers are to be strict about. */
static const struct {
	const char *name, *value;
} security[] = {
	{ "strict-transport-security", NULL }, /* TEMPLATE_STRICT. */
	{ "x-content-type-options", "nosniff" },
	{ "x-frame-options", "DENY" },
	{ "referrer-policy", "strict-origin-when-cross-origin" },
};

/* What a service says of CORS does not count where the route speaks for it. */
static const char *const cors_names[] = {
	"access-control-allow-origin",   "access-control-allow-credentials",
	"access-control-allow-methods",  "access-control-allow-headers",
	"access-control-expose-headers", "access-control-max-age",
};

/* --- Room. ----------------------------------------------------------------------------------- */

static size_t pairs_room(const struct schema_pair *pairs, uint32_t n)
{
	size_t room = 0;

	for (uint32_t i = 0; i < n; i++)
		room += 2 * pairs[i].name.len + pairs[i].text.len + sizeof(": \r\n\n");
	return room;
}

static size_t list_room(const struct slice *list, uint32_t n)
{
	size_t room = 0;

	for (uint32_t i = 0; i < n; i++)
		room += list[i].len + 2;
	return room;
}

static size_t headers_room(const struct written_headers *h)
{
	return pairs_room(h->set, h->n_set) + pairs_room(h->add, h->n_add) +
	       list_room(h->remove, h->n_remove);
}

static size_t cors_room(const struct written_cors *cors)
{
	return list_room(cors->origins, cors->n_origins) +
	       list_room(cors->methods, cors->n_methods) +
	       list_room(cors->headers, cors->n_headers) + list_room(cors->expose, cors->n_expose);
}

static bool has_handling(const struct written_route *r)
{
	return r->rewrite.prefix.len || r->rewrite.path.len || r->rewrite.host.len ||
	       r->redirect.to.len || r->respond.status || r->security_headers ||
	       r->cookies.n_allow || r->cookies.n_drop || r->cookies.max_bytes ||
	       r->cors.n_origins || headers_room(&r->request_headers) ||
	       headers_room(&r->response_headers);
}

size_t handling_room(const struct written_route *r)
{
	if (!has_handling(r))
		return 0;
	return headers_room(&r->request_headers) + headers_room(&r->response_headers) +
	       cors_room(&r->cors) + r->rewrite.prefix.len + r->rewrite.path.len +
	       r->redirect.to.len + FIXED_ROOM;
}

/* --- Fields. --------------------------------------------------------------------------------- */

static struct slice since(const struct writer *w, const char *from)
{
	return slice_make(from, (size_t)(w->ptr - from));
}

static void put_name(struct writer *w, struct slice name)
{
	for (size_t i = 0; i < name.len; i++)
		writer_char(w, slice_lower(name.ptr[i]));
}

static void put_line(struct writer *w, struct slice name, struct slice value)
{
	put_name(w, name);
	writer_lit(w, ": ");
	template_compile(w, value);
	writer_lit(w, "\r\n");
}

static void put_drop(struct writer *w, struct slice name)
{
	put_name(w, name);
	writer_char(w, '\n');
}

static bool sets(const struct written_headers *h, struct slice name)
{
	for (uint32_t i = 0; i < h->n_set; i++)
		if (slice_eq_nocase(h->set[i].name, name))
			return true;
	for (uint32_t i = 0; i < h->n_remove; i++)
		if (slice_eq_nocase(h->remove[i], name))
			return true;
	return false;
}

static void put_drops(struct writer *w, const struct written_headers *h)
{
	for (uint32_t i = 0; i < h->n_set; i++)
		put_drop(w, h->set[i].name);
	for (uint32_t i = 0; i < h->n_remove; i++)
		put_drop(w, h->remove[i]);
}

static void put_lines(struct writer *w, const struct written_headers *h)
{
	for (uint32_t i = 0; i < h->n_set; i++)
		put_line(w, h->set[i].name, h->set[i].text);
	for (uint32_t i = 0; i < h->n_add; i++)
		put_line(w, h->add[i].name, h->add[i].text);
}

static void draw_request(struct writer *w, const struct written_headers *h, struct draft_rules *to)
{
	const char *at = w->ptr;

	put_drops(w, h);
	to->drops = since(w, at);
	at = w->ptr;
	put_lines(w, h);
	to->lines = since(w, at);
}

static bool keeps_security(const struct written_route *r, size_t i)
{
	return r->security_headers && !sets(&r->response_headers, slice_of(security[i].name));
}

/* What is only for TLS has no value in the clear, and is left out there. */
static void put_security(struct writer *w, size_t i)
{
	writer_put(w, slice_of(security[i].name));
	writer_lit(w, ": ");
	if (security[i].value)
		writer_put(w, slice_of(security[i].value));
	else
		writer_char(w, template_mark(TEMPLATE_STRICT));
	writer_lit(w, "\r\n");
}

static void draw_response(struct writer *w, const struct written_route *r, struct draft_rules *to)
{
	const char *at = w->ptr;

	put_drops(w, &r->response_headers);
	for (size_t i = 0; i < ARRAY_SIZE(security); i++)
		if (keeps_security(r, i))
			put_drop(w, slice_of(security[i].name));
	for (size_t i = 0; r->cors.n_origins && i < ARRAY_SIZE(cors_names); i++)
		put_drop(w, slice_of(cors_names[i]));
	to->drops = since(w, at);
	at = w->ptr;
	put_lines(w, &r->response_headers);
	for (size_t i = 0; i < ARRAY_SIZE(security); i++)
		if (keeps_security(r, i))
			put_security(w, i);
	if (r->cors.n_origins)
		writer_lit(w, "vary: origin\r\n");
	to->lines = since(w, at);
}

/* --- CORS. ----------------------------------------------------------------------------------- */

static void put_list(struct writer *w, const char *name, const struct slice *list, uint32_t n)
{
	if (n == 0)
		return;
	writer_put(w, slice_of(name));
	writer_lit(w, ": ");
	for (uint32_t i = 0; i < n; i++) {
		if (i)
			writer_lit(w, ", ");
		writer_put(w, list[i]);
	}
	writer_lit(w, "\r\n");
}

static void draw_cors(struct writer *w, const struct written_cors *cors, struct draft_handling *to)
{
	static const struct slice simple[] = { SLICE_INIT("GET"), SLICE_INIT("HEAD"),
					       SLICE_INIT("POST") };
	const char *at = w->ptr;

	if (cors->n_origins == 0)
		return;
	to->cors.origins = (struct draft_texts){ cors->origins, cors->n_origins };
	writer_lit(w, "access-control-allow-origin: ");
	writer_char(w, template_mark(TEMPLATE_ORIGIN));
	writer_lit(w, "\r\n");
	if (cors->credentials)
		writer_lit(w, "access-control-allow-credentials: true\r\n");
	put_list(w, "access-control-expose-headers", cors->expose, cors->n_expose);
	to->cors.lines = since(w, at);
	at = w->ptr;
	put_list(w, "access-control-allow-methods", cors->n_methods ? cors->methods : simple,
		 cors->n_methods ? cors->n_methods : (uint32_t)ARRAY_SIZE(simple));
	put_list(w, "access-control-allow-headers", cors->headers, cors->n_headers);
	writer_lit(w, "access-control-max-age: ");
	writer_u64(w, cors->max_age_ns / GW_NS_PER_S);
	writer_lit(w, "\r\n");
	to->cors.preflight = since(w, at);
}

/* --- Targets, answers, cookies. -------------------------------------------------------------- */

/* "/v2" and what is behind the route's prefix; "/" leaves only that. */
static void draw_path(struct writer *w, const struct written_rewrite *from,
		      struct draft_handling *to)
{
	const char *at = w->ptr;

	if (from->prefix.len) {
		bool slash = slice_ends_with(from->prefix, SLICE("/"));

		writer_put(w, slice_take(from->prefix, from->prefix.len - slash));
		writer_char(w, template_mark(TEMPLATE_REST));
	} else {
		template_compile(w, from->path);
	}
	to->path = since(w, at);
	to->host = from->host;
}

static void draw_answer(struct writer *w, const struct written_route *r, struct draft_handling *to)
{
	const char *at = w->ptr;

	if (r->redirect.to.len) {
		to->answer.status = (uint16_t)r->redirect.status;
		template_compile(w, r->redirect.to);
		to->answer.location = since(w, at);
	} else if (r->respond.status) {
		to->answer.status = (uint16_t)r->respond.status;
		to->answer.type = r->respond.body.len ? r->respond.content_type : SLICE("");
		to->answer.body = r->respond.body;
	}
}

static void draw_cookies(const struct written_cookies *from, struct draft_handling *to)
{
	to->cookies.allow = from->n_allow > 0;
	to->cookies.names = from->n_allow ? (struct draft_texts){ from->allow, from->n_allow }
					  : (struct draft_texts){ from->drop, from->n_drop };
	to->cookies.max = (uint32_t)from->max_bytes;
}

void handling_draw(const struct written_route *r, char *room, size_t size,
		   struct draft_handling *ret_handling)
{
	struct writer w = writer_make(room, size);

	*ret_handling = (struct draft_handling){ 0 };
	draw_request(&w, &r->request_headers, &ret_handling->request);
	draw_response(&w, r, &ret_handling->response);
	draw_cors(&w, &r->cors, ret_handling);
	draw_path(&w, &r->rewrite, ret_handling);
	draw_answer(&w, r, ret_handling);
	draw_cookies(&r->cookies, ret_handling);
	GW_ASSERT(!w.overflow);
}

uint32_t handling_response_most(const struct draft_handling *h)
{
	uint32_t lines = template_most(h->response.lines), cors = template_most(h->cors.lines);

	return lines == UINT32_MAX || cors == UINT32_MAX
		       ? UINT32_MAX
		       : lines + cors + (uint32_t)h->response.drops.len;
}
