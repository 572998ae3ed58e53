/* SPDX-License-Identifier: Apache-2.0 */
#include "core/proxy/handling.h"

/* --- What is known. -------------------------------------------------------------------------- */

static struct slice host_of(struct handling *h, const struct http_head *head)
{
	struct writer w = writer_make(h->host, sizeof(h->host));

	writer_put(&w, http_text(head, head->host));
	if (head->port) {
		writer_char(&w, ':');
		writer_u64(&w, head->port);
	}
	return writer_slice(&w);
}

/* The path behind what the route has matched: "" or "/...". */
static struct slice rest_of(const struct policy_route *route, struct slice path)
{
	return slice_drop(path, route->prefix_len < path.len ? route->prefix_len : path.len);
}

static struct slice field_value(const struct http_head *head, struct slice name)
{
	const struct http_field *field = http_head_find_name(head, name);

	return field ? http_text(head, field->value) : SLICE("");
}

/* With "*." in front of its host it stands for every origin of that scheme below it. */
static bool is_origin(struct slice wanted, struct slice origin)
{
	size_t at = slice_find_slice(wanted, SLICE("://*."));
	struct slice scheme, end;

	if (slice_eq(wanted, SLICE("*")) || at == SLICE_NONE)
		return wanted.len == 1 || slice_eq_nocase(wanted, origin);
	scheme = slice_take(wanted, at + 3);
	end = slice_drop(wanted, at + 4);
	return slice_starts_with_nocase(origin, scheme) && origin.len > scheme.len + end.len &&
	       slice_eq_nocase(slice_drop(origin, origin.len - end.len), end);
}

/* What to tell an origin whose pages may use the route; empty: they may not. */
static struct slice origin_of(const struct handling *h, const struct http_head *head)
{
	struct policy_part list = h->rules->cors.origins;
	struct slice origin = list.n ? field_value(head, SLICE("origin")) : SLICE("");

	if (origin.len == 0 || origin.len > 255)
		return SLICE("");
	for (uint32_t i = 0; i < list.n; i++) {
		struct slice wanted = table_text_of(h->table, list, i);

		if (is_origin(wanted, origin))
			return slice_eq(wanted, SLICE("*")) ? wanted : origin;
	}
	return SLICE("");
}

void handling_begin(struct handling *h, const struct policy_table *table, uint32_t route,
		    const struct http_head *head, const struct peer *peer, bool secure)
{
	const struct policy_route *taken = table_route(table, route);

	h->table = table;
	h->rules = table_handling(table, taken);
	h->told = SLICE("");
	if (!h->rules)
		return;
	memset(h->values, 0, sizeof(h->values));
	h->values[TEMPLATE_CLIENT_IP] = slice_make(h->ip, peer_format(peer, h->ip));
	h->values[TEMPLATE_HOST] = host_of(h, head);
	h->values[TEMPLATE_SCHEME] = secure ? SLICE("https") : SLICE("http");
	h->values[TEMPLATE_METHOD] = http_text(head, head->method_text);
	h->values[TEMPLATE_PATH] = http_text(head, head->path);
	h->values[TEMPLATE_QUERY] = http_text(head, head->query);
	h->values[TEMPLATE_REST] = rest_of(taken, http_text(head, head->path));
	h->values[TEMPLATE_ROUTE] = table_text(table, taken->name);
	if (taken->service != POLICY_NO_SERVICE)
		h->values[TEMPLATE_SERVICE] =
			table_text(table, table_service(table, taken->service)->name);
	h->values[TEMPLATE_ORIGIN] = origin_of(h, head);
	h->values[TEMPLATE_STRICT] = secure ? SLICE("max-age=31536000") : SLICE("");
}

void handling_know_id(struct handling *h, struct slice id)
{
	if (h->rules)
		h->values[TEMPLATE_REQUEST_ID] = id;
}

/* --- Fields. --------------------------------------------------------------------------------- */

/* 'names' has a newline behind each. */
static bool take_name(struct slice *names, struct slice *ret_name)
{
	size_t end = slice_find(*names, '\n');

	if (end == SLICE_NONE)
		return false;
	*ret_name = slice_take(*names, end);
	*names = slice_drop(*names, end + 1);
	return true;
}

static void drop_all(struct http_head *head, struct slice names)
{
	struct slice name;

	while (take_name(&names, &name))
		http_drop_field(head, name);
}

/* --- Cookies. -------------------------------------------------------------------------------- */

static bool passes(const struct handling *h, struct slice pair)
{
	const struct policy_cookies *rules = &h->rules->cookies;
	struct slice name = pair, value;

	(void)slice_split(pair, '=', &name, &value);
	name = slice_trim(name);
	for (uint32_t i = 0; i < rules->names.n; i++)
		if (slice_eq(table_text_of(h->table, rules->names, i), name))
			return rules->allow;
	return !rules->allow;
}

/* Pairs that pass, as one line (RFC 6265 5.4), written behind those before them. */
static void put_pairs(const struct handling *h, struct slice cookie, bool *any,
		      struct writer *extra)
{
	while (cookie.len) {
		size_t end = slice_find(cookie, ';');
		struct slice pair =
			slice_trim(slice_take(cookie, end == SLICE_NONE ? cookie.len : end));

		cookie = slice_drop(cookie, end == SLICE_NONE ? cookie.len : end + 1);
		if (pair.len == 0 || !passes(h, pair))
			continue;
		writer_put(extra, *any ? SLICE("; ") : SLICE("cookie: "));
		writer_put(extra, pair);
		*any = true;
	}
}

static enum reason judge_cookies(const struct handling *h, struct http_head *head,
				 struct writer *extra)
{
	const struct policy_cookies *rules = &h->rules->cookies;
	bool any = false;
	uint64_t n = 0;

	if (!(head->ids & UINT64_C(1) << HTTP_FIELD_COOKIE))
		return REASON_NONE;
	for (uint16_t i = 0; i < head->n_fields; i++)
		if (head->fields[i].id == HTTP_FIELD_COOKIE && !head->fields[i].dropped)
			n += head->fields[i].value.len;
	if (rules->max && n > rules->max)
		return REASON_COOKIE_TOO_LARGE;
	for (uint16_t i = 0; rules->names.n && i < head->n_fields; i++) {
		struct http_field *field = &head->fields[i];

		if (field->id != HTTP_FIELD_COOKIE || field->dropped)
			continue;
		field->dropped = true;
		put_pairs(h, http_text(head, field->value), &any, extra);
	}
	if (any)
		writer_lit(extra, "\r\n");
	return REASON_NONE;
}

/* --- The request. ---------------------------------------------------------------------------- */

enum reason handling_request(const struct handling *h, struct http_head *head, struct writer *extra)
{
	if (!h->rules)
		return REASON_NONE;
	drop_all(head, table_text(h->table, h->rules->request.drops));
	template_fill_lines(extra, table_text(h->table, h->rules->request.lines), h->values);
	return judge_cookies(h, head, extra);
}

enum reason handling_rewrite(const struct handling *h, struct writer *room,
			     struct http_rewrite *ret_rewrite)
{
	if (!h->rules)
		return REASON_NONE;
	ret_rewrite->host = table_text(h->table, h->rules->host);
	if (h->rules->path.n == 0)
		return REASON_NONE;
	template_fill(room, table_text(h->table, h->rules->path), h->values);
	if (room->overflow)
		return REASON_URI_TOO_LONG;
	ret_rewrite->path = writer_len(room) ? writer_slice(room) : SLICE("/");
	return REASON_NONE;
}

void handling_location(const struct handling *h, struct writer *out)
{
	template_fill(out, table_text(h->table, h->rules->answer.location), h->values);
}

bool handling_preflight(const struct handling *h, struct writer *out)
{
	if (h->values[TEMPLATE_ORIGIN].len == 0)
		return false;
	template_fill_lines(out, table_text(h->table, h->rules->cors.lines), h->values);
	template_fill_lines(out, table_text(h->table, h->rules->cors.preflight), h->values);
	return true;
}

/* --- The answer. ----------------------------------------------------------------------------- */

static void put_rules(const struct handling *h, struct writer *w)
{
	template_fill_lines(w, table_text(h->table, h->rules->response.lines), h->values);
	if (h->values[TEMPLATE_ORIGIN].len)
		template_fill_lines(w, table_text(h->table, h->rules->cors.lines), h->values);
	GW_ASSERT(!w->overflow); /* The policy was checked for it. */
}

struct handling_text handling_response(const struct handling *h, char *bytes)
{
	struct writer w = writer_make(bytes, HANDLING_TEXT_MAX);
	struct handling_text text = { 0 };

	if (h->rules) {
		writer_put(&w, table_text(h->table, h->rules->response.drops));
		text.drops = (uint16_t)writer_len(&w);
		put_rules(h, &w);
	}
	if (h->told.len <= writer_room(&w))
		writer_put(&w, h->told);
	text.lines = (uint16_t)(writer_len(&w) - text.drops);
	return text;
}

struct slice handling_lines(const char *bytes, struct handling_text text)
{
	return slice_make(bytes + text.drops, text.lines);
}

struct slice handling_apply(const char *bytes, struct handling_text text, struct http_head *head)
{
	drop_all(head, slice_make(bytes, text.drops));
	return handling_lines(bytes, text);
}

bool handling_says(const char *bytes, struct handling_text text, struct slice name)
{
	struct slice names = slice_make(bytes, text.drops), one;

	while (take_name(&names, &one))
		if (slice_eq(one, name))
			return true;
	return false;
}
