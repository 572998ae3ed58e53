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

static bool method_fits(const struct policy_table *table, const struct policy_route *route,
			struct slice method)
{
	const struct policy_part *methods = table_at_(table, route->methods.at);

	for (uint32_t i = 0; i < route->methods.n; i++)
		if (slice_eq(table_text(table, methods[i]), method))
			return true;
	return route->methods.n == 0;
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

enum policy_found policy_find(const struct policy_table *table,
			      const struct policy_request *request, uint32_t *ret_route)
{
	uint32_t id = find_host(table, request->host);
	const struct policy_host *host;
	const struct policy_key *key;
	struct prefixes p;

	if (id == POLICY_NO_HOST)
		return POLICY_UNKNOWN_HOST;
	host = (const struct policy_host *)table_at_(table, table->hosts.at) + id;
	hash_prefixes(&p, host, request->path);
	if (host->exact) {
		key = look(table, table->paths, find_finish(p.whole, id), request->path, id);
		if (key && try(table, key, request, ret_route))
			return POLICY_FOUND;
	}
	while (p.n-- > 0) {
		key = look(table, table->prefixes, find_finish(p.hashes[p.n], id),
			   slice_take(request->path, p.lens[p.n]), id);
		if (key && try(table, key, request, ret_route))
			return POLICY_FOUND;
	}
	return POLICY_UNKNOWN_PATH;
}
