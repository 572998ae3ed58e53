/* SPDX-License-Identifier: Apache-2.0 */
/* An explanation as a reply: every key is there each time, with null for what does not apply. */
#include "core/server/explain.h"

#include "core/crypto/tls_identity.h"

enum { TARGET_MAX = 16 * 1024 + 8192 }; /* A path that was rewritten, and a query. */

/* --- Pieces. --------------------------------------------------------------------------------- */

static void entry(struct pack *p, const char *key, bool there, struct slice text)
{
	if (there) {
		pack_entry_text(p, key, text);
	} else {
		pack_key(p, key);
		pack_null(p);
	}
}

static void entry_number(struct pack *p, const char *key, bool there, uint64_t number)
{
	pack_key(p, key);
	if (there)
		pack_u64(p, number);
	else
		pack_null(p);
}

static bool take_piece(struct slice *rest, struct slice separator, struct slice *ret_piece)
{
	size_t at = rest->len ? slice_find_slice(*rest, separator) : SLICE_NONE;

	if (at == SLICE_NONE)
		return false;
	*ret_piece = slice_take(*rest, at);
	*rest = slice_drop(*rest, at + separator.len);
	return true;
}

static uint32_t count_pieces(struct slice text, struct slice separator)
{
	struct slice piece;
	uint32_t n = 0;

	while (take_piece(&text, separator, &piece))
		n++;
	return n;
}

/* Texts with the separator behind each, as a list. */
static void entry_pieces(struct pack *p, const char *key, struct slice text, struct slice more,
			 struct slice separator)
{
	struct slice piece;

	pack_key(p, key);
	pack_list(p, count_pieces(text, separator) + count_pieces(more, separator));
	while (take_piece(&text, separator, &piece))
		pack_text(p, piece);
	while (take_piece(&more, separator, &piece))
		pack_text(p, piece);
}

/* --- The request. ---------------------------------------------------------------------------- */

static struct slice authority_of(const struct http_head *head, char *text, size_t size)
{
	struct writer w = writer_make(text, size);

	writer_put(&w, http_text(head, head->host));
	if (head->port) {
		writer_char(&w, ':');
		writer_u64(&w, head->port);
	}
	return writer_slice(&w);
}

/* By which it is judged, too. */
static void pack_certificate(const struct tls_identity *identity, struct pack *p)
{
	pack_key(p, "certificate");
	if (!identity) {
		pack_null(p);
		return;
	}
	pack_map(p, 3);
	pack_entry_text(p, "sha256", slice_make(identity->sha256, sizeof(identity->sha256)));
	entry(p, "subject", identity->subject_len > 0,
	      slice_make(identity->subject, identity->subject_len));
	pack_entry_words(p, "sans", identity->sans);
}

static void pack_request(const struct explanation *e, struct pack *p)
{
	const struct http_head *head = &e->parser.head;
	char ip[PEER_TEXT], authority[TEMPLATE_HOST_MAX];

	pack_key(p, "request");
	if (!e->has_head) {
		pack_null(p);
		return;
	}
	pack_map(p, 5);
	pack_entry_text(p, "method", http_text(head, head->method_text));
	pack_entry_text(p, "host", authority_of(head, authority, sizeof(authority)));
	pack_entry_text(p, "path", http_text(head, head->path));
	pack_entry_text(p, "query", http_text(head, head->query));
	pack_entry_text(p, "client", slice_make(ip, peer_format(&e->source, ip)));
}

/* --- The route. ------------------------------------------------------------------------------ */

static void pack_route(const struct explain_place *place, const struct explanation *e,
		       struct pack *p)
{
	pack_key(p, "route");
	if (!e->route) {
		pack_null(p);
		return;
	}
	pack_map(p, 2);
	pack_entry_text(p, "name", table_text(place->table, e->route->name));
	pack_entry_u64(p, "index", e->verdict.index);
}

/* Of an IPv6 address its network. */
static struct slice client_key(const struct peer *client, char text[PEER_TEXT + 4])
{
	struct peer peer = *client;
	size_t len;

	if (peer.family == AF_INET6)
		memset(peer.ip + 8, 0, 8);
	len = peer_format(&peer, text);
	if (peer.family == AF_INET6) {
		memcpy(text + len, "/64", 3);
		len += 3;
	}
	return slice_make(text, len);
}

static struct slice limit_key(const struct explain_place *place, const struct explanation *e,
			      const struct policy_limit *limit, char text[PEER_TEXT + 4])
{
	switch ((enum policy_limit_by)limit->by) {
	case POLICY_BY_CLIENT_IP:
		return client_key(&e->source, text);
	case POLICY_BY_HEADER:
		return limits_field(&e->parser.head, table_text(place->table, limit->field));
	case POLICY_BY_ROUTE:
		return table_text(place->table, e->route->name);
	case POLICY_BY_SERVICE:
		return e->route->service == POLICY_NO_SERVICE
			       ? SLICE("")
			       : table_text(place->table,
					    table_service(place->table, e->route->service)->name);
	case POLICY_BY_CLAIM:
		return auth_claim(place->table, &e->client, table_text(place->table, limit->field));
	case POLICY_BY_ALL:
	case POLICY_N_LIMIT_BYS:
		break;
	}
	return SLICE("");
}

static void pack_limit(const struct explain_place *place, const struct explanation *e, uint32_t i,
		       struct pack *p)
{
	static const char *const names[POLICY_N_LIMIT_BYS] = {
		[POLICY_BY_ALL] = "all",         [POLICY_BY_CLIENT_IP] = "client_ip",
		[POLICY_BY_HEADER] = "header",   [POLICY_BY_ROUTE] = "route",
		[POLICY_BY_SERVICE] = "service", [POLICY_BY_CLAIM] = "claim"
	};
	const struct policy_limit *limit = table_route_limit(place->table, e->route, i);
	const struct gcra_answer *answer = &e->limits[i];
	char text[PEER_TEXT + 4];

	pack_map(p, 6);
	pack_entry_text(p, "name", table_text(place->table, limit->name));
	pack_entry_text(p, "by", slice_of(names[limit->by]));
	pack_entry_text(p, "key", limit_key(place, e, limit, text));
	pack_entry_u64(p, "burst", limit->rule.burst);
	pack_entry_u64(p, "left", answer->remaining + answer->admitted);
	pack_entry_u64(p, "retry_ms", (answer->retry_after_ns + 999999) / 1000000);
}

static void pack_limits(const struct explain_place *place, const struct explanation *e,
			struct pack *p)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < POLICY_ROUTE_LIMITS_MAX; i++)
		n += e->looked >> i & 1u;
	pack_key(p, "limits");
	pack_list(p, n);
	for (uint32_t i = 0; i < POLICY_ROUTE_LIMITS_MAX; i++)
		if (e->looked >> i & 1u)
			pack_limit(place, e, i, p);
}

/* Who may take the route, and what was found of this one. */
static void pack_auth(const struct explain_place *place, const struct explanation *e,
		      struct pack *p)
{
	static const char *const names[POLICY_N_AUTH_BYS] = { [POLICY_BY_JWT] = "jwt",
							      [POLICY_BY_API_KEY] = "api_keys",
							      [POLICY_BY_CERTIFICATE] = "mtls" };
	const struct policy_auth *auth = e->client.by;
	struct slice name;

	pack_key(p, "auth");
	if (!auth) {
		pack_null(p);
		return;
	}
	pack_map(p, 4);
	pack_entry_text(p, "name", table_text(place->table, auth->name));
	pack_entry_text(p, "by", slice_of(names[auth->by]));
	pack_entry_bool(p, "good", e->denied == REASON_NONE);
	name = auth->by == POLICY_BY_CERTIFICATE ? e->client.san : e->client.name;
	entry(p, "client", name.len > 0, name);
}

/* --- The service. ---------------------------------------------------------------------------- */

static void pack_addr(const struct policy_addr *from, struct pack *p)
{
	struct peer peer = { .family = from->family };
	char text[sizeof(from->path) + PEER_TEXT];
	struct writer w = writer_make(text, sizeof(text));
	char ip[PEER_TEXT];

	if (from->family == AF_UNIX) {
		writer_lit(&w, "unix:");
		writer_bytes(&w, from->path, from->path_len);
	} else {
		memcpy(peer.ip, from->ip, sizeof(peer.ip));
		writer_put(&w, from->family == AF_INET6 ? SLICE("[") : SLICE(""));
		writer_bytes(&w, ip, peer_format(&peer, ip));
		writer_put(&w, from->family == AF_INET6 ? SLICE("]:") : SLICE(":"));
		writer_u64(&w, from->port);
	}
	pack_text(p, writer_slice(&w));
}

static void pack_endpoints(const struct policy_table *table, const struct policy_service *service,
			   struct pack *p)
{
	pack_key(p, "endpoints");
	pack_list(p, service->endpoints.n);
	for (uint32_t i = 0; i < service->endpoints.n; i++) {
		const struct policy_endpoint *endpoint = table_endpoint(table, service, i);

		pack_map(p, 2);
		pack_entry_text(p, "endpoint", table_text(table, endpoint->authority));
		pack_key(p, "addresses");
		pack_list(p, endpoint->n_addrs);
		for (uint16_t k = 0; k < endpoint->n_addrs; k++)
			pack_addr(&endpoint->addrs[k], p);
	}
}

static void pack_service(const struct explain_place *place, const struct explanation *e,
			 struct pack *p)
{
	static const char *const protocols[POLICY_N_PROTOCOLS] = { [POLICY_HTTP] = "http",
								   [POLICY_HTTPS] = "https",
								   [POLICY_H2C] = "h2c",
								   [POLICY_H2] = "h2" };
	const struct policy_service *service;

	pack_key(p, "service");
	if (!e->route || e->route->service == POLICY_NO_SERVICE) {
		pack_null(p);
		return;
	}
	service = table_service(place->table, e->route->service);
	pack_map(p, 3);
	pack_entry_text(p, "name", table_text(place->table, service->name));
	pack_entry_text(p, "protocol", slice_of(protocols[service->protocol]));
	pack_endpoints(place->table, service, p);
}

/* --- What is sent on, and answered. ---------------------------------------------------------- */

static void pack_target(const struct explanation *e, struct pack *p)
{
	const struct http_head *head = &e->parser.head;
	bool there = e->action == EXPLAIN_FORWARD;
	char text[TARGET_MAX], authority[TEMPLATE_HOST_MAX];
	struct writer w = writer_make(text, sizeof(text));

	if (there) {
		writer_put(&w, e->rewrite.path.len ? e->rewrite.path : http_text(head, head->path));
		writer_put(&w, http_text(head, head->query));
		GW_ASSERT(!w.overflow);
	}
	entry(p, "target", there, writer_slice(&w));
	entry(p, "host", there,
	      e->rewrite.host.len ? e->rewrite.host
				  : authority_of(head, authority, sizeof(authority)));
}

/* What frames a message and where it goes is written anew, and not taken away. */
static bool is_removed(const struct http_field *field)
{
	return field->dropped && http_field_class(field->id) != HTTP_CLASS_FRAMING;
}

static void pack_removed(const struct explanation *e, struct pack *p)
{
	const struct http_head *head = &e->parser.head;
	uint32_t n = 0;

	for (uint16_t i = 0; i < head->n_fields; i++)
		n += is_removed(&head->fields[i]);
	pack_key(p, "removed");
	pack_list(p, n);
	for (uint16_t i = 0; i < head->n_fields; i++)
		if (is_removed(&head->fields[i]))
			pack_text(p, http_text(head, head->fields[i].name));
}

static void pack_fields(const struct explanation *e, struct pack *p)
{
	const struct slice line = SLICE("\r\n");

	pack_key(p, "request_fields");
	if (e->action == EXPLAIN_FORWARD) {
		pack_map(p, 2);
		entry_pieces(p, "set", e->extra, SLICE(""), line);
		pack_removed(e, p);
	} else {
		pack_null(p);
	}
	pack_key(p, "answer_fields");
	pack_map(p, 2);
	entry_pieces(p, "set", handling_lines(e->answer_text, e->answer), e->lines, line);
	entry_pieces(p, "removed", slice_make(e->answer_text, e->answer.drops), SLICE(""),
		     SLICE("\n"));
}

void explain_pack(const struct explain_place *place, const struct explanation *e, struct pack *p)
{
	static const char *const actions[] = {
#define X(id, name) [EXPLAIN_##id] = (name),
		EXPLAIN_ACTIONS(X)
#undef X
	};

	pack_map(p, 16);
	pack_entry_u64(p, "generation", e->verdict.generation);
	pack_request(e, p);
	pack_certificate(place->identity, p);
	pack_route(place, e, p);
	pack_entry_text(p, "action", slice_of(actions[e->action]));
	entry_number(p, "status", e->action != EXPLAIN_FORWARD, e->status);
	entry(p, "reason", e->action == EXPLAIN_REFUSE, reason_label(e->reason));
	entry(p, "location", e->action == EXPLAIN_REDIRECT, e->location);
	pack_service(place, e, p);
	entry_number(p, "max_body", e->route && e->route->max_body != UINT64_MAX,
		     e->route ? e->route->max_body : 0);
	pack_auth(place, e, p);
	pack_limits(place, e, p);
	pack_target(e, p);
	pack_fields(e, p);
}
