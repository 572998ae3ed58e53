/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/find.h"

/* 'host' POLICY_NO_HOST: the keys are those of hosts. */
static const struct policy_key *look(const struct policy_table *table, struct policy_part keys,
				     uint64_t hash, struct slice text, uint32_t host)
{
	const struct policy_key *list = table_at_(table, keys.at);

	for (uint32_t i = (uint32_t)hash;; i++) {
		const struct policy_key *key = &list[i & (keys.n - 1)];

		if (key->hash == 0)
			return NULL;
		if (key->hash == hash && (host == POLICY_NO_HOST || key->host == host) &&
		    slice_eq(table_text(table, key->text), text))
			return key;
	}
}

/* --- The host. ------------------------------------------------------------------------------- */

/* By a name's ends, the shortest first: the last that is found is the longest. */
static uint32_t find_wildcard(const struct policy_table *table, struct slice name)
{
	uint32_t found = POLICY_NO_HOST;
	uint64_t hash = FIND_SEED;

	/* The label that the star stands for has a byte at least. */
	for (size_t i = name.len; i > 1; i--) {
		const struct policy_key *key;

		hash = find_step(hash, (unsigned char)name.ptr[i - 1]);
		if (name.ptr[i - 1] != '.')
			continue;
		key = look(table, table->wildcard_hosts, find_finish(hash, 0),
			   slice_drop(name, i - 1), POLICY_NO_HOST);
		if (key)
			found = key->host;
	}
	return found;
}

static uint32_t find_host(const struct policy_table *table, struct slice name)
{
	uint32_t found = POLICY_NO_HOST;

	if (table->exact_hosts.n) {
		const struct policy_key *key =
			look(table, table->exact_hosts, find_hash_host(name), name, POLICY_NO_HOST);

		if (key)
			return key->host;
	}
	if (table->wildcard_hosts.n)
		found = find_wildcard(table, name);
	return found != POLICY_NO_HOST ? found : table->any_host;
}

/* --- The path. ------------------------------------------------------------------------------- */

static bool names_method(const struct policy_table *table, const struct policy_route *route,
			 struct slice method)
{
	for (uint32_t i = 0; i < route->methods.n; i++)
		if (slice_eq(table_text_of(table, route->methods, i), method))
			return true;
	return false;
}

static bool method_fits(const struct policy_table *table, const struct policy_route *route,
			struct slice method)
{
	return route->methods.n == 0 || names_method(table, route, method) ||
	       (slice_eq(method, SLICE("HEAD")) && names_method(table, route, SLICE("GET")));
}

static bool fields_fit(const struct policy_table *table, const struct policy_route *route,
		       const struct policy_request *request)
{
	const struct policy_field *fields = table_at_(table, route->fields.at);

	for (uint32_t i = 0; i < route->fields.n; i++) {
		struct slice value;

		if (!request->field ||
		    !request->field(request->head, table_text(table, fields[i].name), &value) ||
		    !slice_eq(value, table_text(table, fields[i].value)))
			return false;
	}
	return true;
}

/* The first of a path's routes that fits. */
static bool try(const struct policy_table *table, const struct policy_key *key,
		const struct policy_request *request, uint32_t *ret_route)
{
	const uint32_t *routes = table_at_(table, key->routes.at);

	for (uint32_t i = 0; i < key->routes.n; i++) {
		const struct policy_route *route = table_route(table, routes[i]);

		if (method_fits(table, route, request->method) &&
		    fields_fit(table, route, request)) {
			*ret_route = routes[i];
			return true;
		}
	}
	return false;
}

/* Prefixes of a path that routes may have: where each ends, and its hash. */
struct prefixes {
	uint32_t n;
	uint32_t lens[POLICY_SEGMENTS_MAX + 1];
	uint64_t hashes[POLICY_SEGMENTS_MAX + 1];
	uint64_t whole; /* Hash of the path. */
};

static void note(struct prefixes *p, const struct policy_host *host, uint32_t depth, size_t len,
		 uint64_t hash)
{
	if (depth > POLICY_SEGMENTS_MAX || !(host->depths & 1u << depth))
		return;
	p->lens[p->n] = (uint32_t)len;
	p->hashes[p->n++] = hash;
}

static void hash_prefixes(struct prefixes *p, const struct policy_host *host, struct slice path)
{
	uint64_t hash = FIND_SEED;
	uint32_t depth = 0;

	p->n = 0;
	for (size_t i = 0; i < path.len; i++) {
		if (path.ptr[i] == '/') /* Each but the first ends a segment. */
			note(p, host, depth++, i, hash);
		hash = find_step(hash, (unsigned char)path.ptr[i]);
	}
	if (path.len == 0 || path.ptr[path.len - 1] != '/')
		note(p, host, depth, path.len, hash);
	p->whole = hash;
}

/* The places of a request's host and path that have routes, the closest first. */
struct walk {
	uint32_t host;
	bool exact; /* The path as a whole is still to be looked for. */
	struct prefixes left;
};

/* False: its host has no routes. */
static bool walk_begin(struct walk *w, const struct policy_table *table,
		       const struct policy_request *request)
{
	const struct policy_host *host;

	w->host = find_host(table, request->host);
	if (w->host == POLICY_NO_HOST)
		return false;
	host = (const struct policy_host *)table_at_(table, table->hosts.at) + w->host;
	w->exact = host->exact;
	hash_prefixes(&w->left, host, request->path);
	return true;
}

/* NULL: there is no more. */
static const struct policy_key *walk_next(struct walk *w, const struct policy_table *table,
					  struct slice path)
{
	struct prefixes *p = &w->left;
	const struct policy_key *key = NULL;

	if (w->exact)
		key = look(table, table->paths, find_finish(p->whole, w->host), path, w->host);
	w->exact = false;
	while (!key && p->n > 0) {
		p->n--;
		key = look(table, table->prefixes, find_finish(p->hashes[p->n], w->host),
			   slice_take(path, p->lens[p->n]), w->host);
	}
	return key;
}

enum policy_found policy_find(const struct policy_table *table,
			      const struct policy_request *request, uint32_t *ret_route)
{
	const struct policy_key *key;
	struct walk w;

	if (!walk_begin(&w, table, request))
		return POLICY_UNKNOWN_HOST;
	while ((key = walk_next(&w, table, request->path)))
		if (try(table, key, request, ret_route))
			return POLICY_FOUND;
	return POLICY_UNKNOWN_PATH;
}

/* --- Methods that would have been taken. ----------------------------------------------------- */

static bool is_listed(struct slice list, struct slice method)
{
	struct slice one;
	bool more = true;

	while (more) {
		more = slice_split(list, ',', &one, &list);
		if (slice_eq(slice_trim(one), method))
			return true;
	}
	return false;
}

/* Once, and only as a whole. */
static void put_method(struct writer *out, struct slice method)
{
	if (is_listed(writer_slice(out), method) || writer_room(out) < method.len + 2)
		return;
	if (writer_len(out))
		writer_lit(out, ", ");
	writer_put(out, method);
}

static void put_methods(const struct policy_table *table, const struct policy_route *route,
			struct writer *out)
{
	for (uint32_t i = 0; i < route->methods.n; i++) {
		struct slice method = table_text_of(table, route->methods, i);

		put_method(out, method);
		if (slice_eq(method, SLICE("GET")))
			put_method(out, SLICE("HEAD"));
	}
}

/* What the fitting routes of one place take. False: none of them fits. */
static bool allow_at(const struct policy_table *table, const struct policy_key *key,
		     const struct policy_request *request, struct writer *out)
{
	const uint32_t *routes = table_at_(table, key->routes.at);
	bool any = false;

	for (uint32_t i = 0; i < key->routes.n && !(any && !out); i++) {
		const struct policy_route *route = table_route(table, routes[i]);

		if (!fields_fit(table, route, request))
			continue;
		any = true;
		if (out)
			put_methods(table, route, out);
	}
	return any;
}

bool policy_allow(const struct policy_table *table, const struct policy_request *request,
		  struct writer *out)
{
	struct writer list = out ? writer_make(out->ptr, writer_room(out)) : (struct writer){ 0 };
	const struct policy_key *key;
	bool any = false;
	struct walk w;

	if (!walk_begin(&w, table, request))
		return false;
	while ((key = walk_next(&w, table, request->path)))
		any = allow_at(table, key, request, out ? &list : NULL) || any;
	if (out)
		writer_put(out, writer_slice(&list));
	return any;
}
