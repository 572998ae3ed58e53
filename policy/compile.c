/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/compile.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/bits.h"
#include "core/base/clock.h"
#include "policy/blob.h"
#include "policy/compile_auth.h"
#include "policy/compile_handling.h"
#include "policy/find.h"

#define ADOPTED_NS (10 * GW_NS_PER_MS) /* By then all workers have a table that is offered now. */

/* A host that routes name, or the end of those that a wildcard stands for; empty: any host. */
struct host {
	struct slice text;
	uint32_t id; /* Its place in the table. */
};

/* A route under one of its hosts and its path. */
struct place {
	uint32_t host;
	uint32_t route; /* Index. */
	struct slice path;
	const struct draft_match *match;
};

struct build {
	const struct policy_draft *draft;
	struct blob blob;
	struct host *hosts; /* Sorted by text. */
	uint32_t n_hosts;
	struct place *places; /* Sorted by kind, host, path and then the order of trying. */
	uint32_t n_places;
};

static struct policy_table *table_of(const struct build *b)
{
	return blob_at(&b->blob, 0);
}

/* --- Services. ------------------------------------------------------------------------------- */

static void put_endpoint(struct build *b, uint32_t at, const struct draft_endpoint *from)
{
	struct policy_part authority = blob_text(&b->blob, from->authority);
	struct policy_part server_name = blob_text(&b->blob, from->server_name);
	struct policy_endpoint *to = blob_at(&b->blob, at);

	if (!to)
		return;
	to->slot = from->slot;
	to->authority = authority;
	to->server_name = server_name;
	to->n_addrs = from->n_addrs;
	memcpy(to->addrs, from->addrs, sizeof(to->addrs));
}

static void put_service(struct build *b, const struct draft_service *from)
{
	struct policy_part name = blob_text(&b->blob, from->name);
	struct policy_part endpoints =
		blob_room(&b->blob, from->n_endpoints, sizeof(struct policy_endpoint));
	struct policy_service *to;

	for (uint32_t i = 0; i < endpoints.n; i++)
		put_endpoint(b, endpoints.at + i * (uint32_t)sizeof(struct policy_endpoint),
			     &from->endpoints[i]);
	if (b->blob.failed)
		return;
	to = (struct policy_service *)blob_at(&b->blob, table_of(b)->services.at) + from->slot;
	to->name = name;
	to->endpoints = endpoints;
	to->max_idle = from->max_idle;
	to->max_idle_all = from->max_idle_all;
	to->max_requests = from->max_requests;
	to->protocol = from->protocol;
	to->trust = from->trust;
	to->timeouts = from->timeouts;
}

static void put_services(struct build *b)
{
	const struct policy_draft *draft = b->draft;
	struct policy_part services;
	uint32_t n = 0;

	for (uint32_t i = 0; i < draft->n_services; i++)
		if (draft->services[i].slot >= n)
			n = draft->services[i].slot + 1u;
	services = blob_room(&b->blob, n, sizeof(struct policy_service));
	if (b->blob.failed)
		return;
	table_of(b)->services = services;
	for (uint32_t i = 0; i < draft->n_services; i++)
		put_service(b, &draft->services[i]);
}

/* --- Routes. --------------------------------------------------------------------------------- */

static struct policy_part put_methods(struct build *b, const struct draft_match *match)
{
	return blob_texts(&b->blob, match->methods, match->n_methods);
}

static struct policy_part put_fields(struct build *b, const struct draft_match *match)
{
	struct policy_part list = blob_room(&b->blob, match->n_fields, sizeof(struct policy_field));

	for (uint32_t i = 0; i < list.n; i++) {
		struct policy_field field = {
			.name = blob_text(&b->blob, match->fields[i].name),
			.value = blob_text(&b->blob, match->fields[i].value),
		};
		struct policy_field *to = blob_at(&b->blob, list.at);

		if (to)
			to[i] = field;
	}
	return list;
}

static struct policy_part put_route_limits(struct build *b, const struct draft_route *route)
{
	struct policy_part list = blob_room(&b->blob, route->n_limits, sizeof(*route->limits));
	struct policy_route_limit *to = blob_at(&b->blob, list.at);

	if (to && list.n)
		memcpy(to, route->limits, list.n * sizeof(*to));
	return list;
}

/* In place, here and below: what lies between fields stays zero, and equal tables equal as bytes. */
static void put_limit(const struct draft_limit *from, struct policy_limit *to)
{
	to->by = from->by;
	to->told = from->told;
	to->identity = from->identity;
	to->rule.interval_ns = from->rule.interval_ns;
	to->rule.tolerance_ns = from->rule.tolerance_ns;
	to->rule.burst = from->rule.burst;
	to->rule.edition = from->rule.edition;
	to->rule.edition_from_ns = from->rule.edition_from_ns;
}

static void put_limits(struct build *b)
{
	const struct policy_draft *draft = b->draft;
	struct policy_part limits =
		blob_room(&b->blob, draft->n_limits, sizeof(struct policy_limit));

	if (b->blob.failed)
		return;
	table_of(b)->limits = limits;
	for (uint32_t i = 0; i < draft->n_limits; i++) {
		const struct draft_limit *from = &draft->limits[i];
		struct policy_part name = blob_text(&b->blob, from->name);
		struct policy_part field = blob_text(&b->blob, from->field);
		struct policy_limit *to = blob_at(&b->blob, limits.at);

		if (!to)
			return;
		to[i].name = name;
		to[i].field = field;
		put_limit(from, &to[i]);
	}
}

static void put_auths(struct build *b)
{
	struct policy_part auths = compile_auths(&b->blob, b->draft->auths, b->draft->n_auths);
	struct policy_part told = blob_texts(&b->blob, b->draft->told.list, b->draft->told.n);

	if (b->blob.failed)
		return;
	table_of(b)->auths = auths;
	table_of(b)->told = told;
}

/* As it is looked for: a prefix without a '/' at its end. */
static struct slice path_of(const struct draft_match *match)
{
	if (!match->is_exact && slice_ends_with(match->path, SLICE("/")))
		return slice_take(match->path, match->path.len - 1);
	return match->path;
}

static void put_route(struct build *b, const struct draft_route *from, uint32_t at)
{
	struct policy_part name = blob_text(&b->blob, from->name);
	struct policy_part methods = put_methods(b, &from->match);
	struct policy_part fields = put_fields(b, &from->match);
	struct policy_part handling = compile_handling(&b->blob, from->handling);
	struct policy_part limits = put_route_limits(b, from);
	struct policy_part scopes = blob_texts(&b->blob, from->scopes.list, from->scopes.n);
	struct policy_route *to = blob_at(&b->blob, at);

	if (!to)
		return;
	to->name = name;
	to->methods = methods;
	to->fields = fields;
	to->handling = handling;
	to->limits = limits;
	to->scopes = scopes;
	to->slot = from->slot;
	to->service = from->service;
	to->auth = from->auth;
	to->prefix_len = from->match.is_exact ? UINT16_MAX : (uint16_t)path_of(&from->match).len;
	to->max_body = from->max_body;
	to->retry = from->retry;
	to->upgrades = from->upgrades;
}

static void put_routes(struct build *b)
{
	const struct policy_draft *draft = b->draft;
	struct policy_part routes =
		blob_room(&b->blob, draft->n_routes, sizeof(struct policy_route));

	if (b->blob.failed)
		return;
	table_of(b)->routes = routes;
	for (uint32_t i = 0; i < draft->n_routes; i++)
		put_route(b, &draft->routes[i],
			  routes.at + i * (uint32_t)sizeof(struct policy_route));
}

/* --- Hosts. ---------------------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
	return slice_cmp(((const struct host *)a)->text, ((const struct host *)b)->text);
}

/* "*.example.org" stands for what ends in ".example.org". */
static bool is_wildcard(struct slice host)
{
	return slice_starts_with(host, SLICE("*."));
}

static uint32_t n_hosts_of(const struct draft_match *match)
{
	return match->n_hosts ? match->n_hosts : 1;
}

static struct slice host_of(const struct draft_match *match, uint32_t i)
{
	return match->n_hosts ? match->hosts[i] : SLICE("");
}

/* Each once, in the order of their texts. */
static int collect_hosts(struct build *b)
{
	const struct policy_draft *draft = b->draft;
	uint32_t n = 0;

	for (uint32_t i = 0; i < draft->n_routes; i++)
		b->n_places += n_hosts_of(&draft->routes[i].match);
	b->hosts = calloc(b->n_places + 1, sizeof(*b->hosts));
	if (!b->hosts)
		return -ENOMEM;
	for (uint32_t i = 0; i < draft->n_routes; i++)
		for (uint32_t k = 0; k < n_hosts_of(&draft->routes[i].match); k++)
			b->hosts[n++].text = host_of(&draft->routes[i].match, k);
	qsort(b->hosts, n, sizeof(*b->hosts), by_text);
	for (uint32_t i = 0; i < n; i++)
		if (b->n_hosts == 0 || by_text(&b->hosts[b->n_hosts - 1], &b->hosts[i]) != 0)
			b->hosts[b->n_hosts++] = b->hosts[i];
	for (uint32_t i = 0; i < b->n_hosts; i++)
		b->hosts[i].id = i;
	return 0;
}

static uint32_t host_id(const struct build *b, struct slice text)
{
	struct host wanted = { .text = text };
	const struct host *found =
		bsearch(&wanted, b->hosts, b->n_hosts, sizeof(*b->hosts), by_text);

	GW_ASSERT(found);
	return found->id;
}

/* --- Hash tables. ---------------------------------------------------------------------------- */

/* Room for n keys, half of it free, so that looking for what is not there ends soon. */
static struct policy_part key_room(struct build *b, uint32_t n)
{
	return n ? blob_room(&b->blob, (uint32_t)bits_pow2_up(2 * (uint64_t)n),
			     sizeof(struct policy_key))
		 : (struct policy_part){ 0 };
}

static void put_key(struct build *b, struct policy_part keys, const struct policy_key *key)
{
	struct policy_key *list = blob_at(&b->blob, keys.at);
	uint32_t i = (uint32_t)key->hash;

	if (!list)
		return;
	while (list[i & (keys.n - 1)].hash != 0)
		i++;
	list[i & (keys.n - 1)] = *key;
}

static void put_host_key(struct build *b, struct policy_part keys, struct slice text, uint32_t id)
{
	struct policy_key key = { .hash = find_hash_host(text),
				  .text = blob_text(&b->blob, text),
				  .host = id };

	put_key(b, keys, &key);
}

static void put_hosts(struct build *b)
{
	struct policy_part hosts = blob_room(&b->blob, b->n_hosts, sizeof(struct policy_host));
	uint32_t any = POLICY_NO_HOST, n_wild = 0;
	struct policy_part exact, wild;

	for (uint32_t i = 0; i < b->n_hosts; i++) {
		n_wild += is_wildcard(b->hosts[i].text);
		any = b->hosts[i].text.len == 0 ? i : any;
	}
	exact = key_room(b, b->n_hosts - n_wild - (any != POLICY_NO_HOST));
	wild = key_room(b, n_wild);
	for (uint32_t i = 0; i < b->n_hosts; i++) {
		struct slice text = b->hosts[i].text;

		if (is_wildcard(text))
			put_host_key(b, wild, slice_drop(text, 1), i);
		else if (text.len)
			put_host_key(b, exact, text, i);
	}
	if (b->blob.failed)
		return;
	table_of(b)->hosts = hosts;
	table_of(b)->any_host = any;
	table_of(b)->exact_hosts = exact;
	table_of(b)->wildcard_hosts = wild;
}

/* --- Paths. ---------------------------------------------------------------------------------- */

static int place_cmp(const struct place *a, const struct place *b)
{
	if (a->match->is_exact != b->match->is_exact)
		return a->match->is_exact ? -1 : 1;
	if (a->host != b->host)
		return a->host < b->host ? -1 : 1;
	return slice_cmp(a->path, b->path);
}

/* Then those first that ask for more, then those that were written first. */
static int by_place(const void *one, const void *other)
{
	const struct place *a = one, *b = other;
	int r = place_cmp(a, b);

	if (r != 0)
		return r;
	if (a->match->n_fields != b->match->n_fields)
		return a->match->n_fields > b->match->n_fields ? -1 : 1;
	if ((a->match->n_methods > 0) != (b->match->n_methods > 0))
		return a->match->n_methods > 0 ? -1 : 1;
	return a->route < b->route ? -1 : a->route > b->route;
}

static int collect_places(struct build *b)
{
	const struct policy_draft *draft = b->draft;
	uint32_t n = 0;

	b->places = calloc(b->n_places + 1, sizeof(*b->places));
	if (!b->places)
		return -ENOMEM;
	for (uint32_t i = 0; i < draft->n_routes; i++) {
		const struct draft_match *match = &draft->routes[i].match;

		for (uint32_t k = 0; k < n_hosts_of(match); k++)
			b->places[n++] = (struct place){ .host = host_id(b, host_of(match, k)),
							 .route = i,
							 .path = path_of(match),
							 .match = match };
	}
	qsort(b->places, b->n_places, sizeof(*b->places), by_place);
	return 0;
}

/* How many from the i-th on have the same host and path. */
static uint32_t run(const struct build *b, uint32_t i)
{
	uint32_t n = 1;

	while (i + n < b->n_places && place_cmp(&b->places[i], &b->places[i + n]) == 0)
		n++;
	return n;
}

static uint32_t n_segments(struct slice path)
{
	uint32_t n = 0;

	for (size_t i = 0; i < path.len; i++)
		n += path.ptr[i] == '/';
	return n;
}

static void tell_host(struct build *b, const struct place *place)
{
	struct policy_host *host = blob_at(&b->blob, table_of(b)->hosts.at);

	if (place->match->is_exact) {
		host[place->host].exact = true;
	} else {
		GW_ASSERT(n_segments(place->path) <= POLICY_SEGMENTS_MAX);
		host[place->host].depths |= 1u << n_segments(place->path);
	}
}

static void put_place(struct build *b, struct policy_part keys, const struct place *places,
		      uint32_t n)
{
	struct policy_part routes = blob_room(&b->blob, n, sizeof(uint32_t));
	uint32_t *list = blob_at(&b->blob, routes.at);
	struct policy_key key = { .hash = find_hash_path(places->path, places->host),
				  .host = places->host,
				  .routes = routes };

	if (!list)
		return;
	for (uint32_t i = 0; i < n; i++)
		list[i] = places[i].route;
	key.text = blob_text(&b->blob, places->path);
	put_key(b, keys, &key);
	if (!b->blob.failed)
		tell_host(b, places);
}

static void put_places(struct build *b)
{
	uint32_t n_keys[2] = { 0 }; /* Of prefixes and of paths. */
	struct policy_part keys[2];

	for (uint32_t i = 0; i < b->n_places; i += run(b, i))
		n_keys[b->places[i].match->is_exact]++;
	for (int k = 0; k < 2; k++)
		keys[k] = key_room(b, n_keys[k]);
	for (uint32_t i = 0; i < b->n_places; i += run(b, i))
		put_place(b, keys[b->places[i].match->is_exact], &b->places[i], run(b, i));
	if (b->blob.failed)
		return;
	table_of(b)->prefixes = keys[0];
	table_of(b)->paths = keys[1];
}

/* --- The whole. ------------------------------------------------------------------------------ */

static void put_all(struct build *b)
{
	(void)blob_room(&b->blob, 1, sizeof(struct policy_table));
	put_services(b);
	put_limits(b);
	put_auths(b);
	put_routes(b);
	put_hosts(b);
	if (!b->blob.failed)
		put_places(b);
}

int policy_compile(const struct policy_draft *draft, struct policy_table **ret_table)
{
	struct build b = { .draft = draft };
	struct policy_table *table;
	int r = collect_hosts(&b);

	if (r == 0)
		r = collect_places(&b);
	if (r == 0)
		put_all(&b);
	free(b.hosts);
	free(b.places);
	if (r == 0 && b.blob.failed)
		r = -ENOMEM;
	if (r < 0) {
		free(b.blob.bytes);
		return r;
	}
	table = table_of(&b);
	table->size = b.blob.len;
	table->generation = draft->generation;
	table->edition = draft->edition;
	table->enabled = draft->enabled;
	table->cursors = draft->cursors;
	table_check(table);
	*ret_table = table;
	return 0;
}

struct policy_table *policy_copy(const struct policy_table *table)
{
	struct policy_table *copy = malloc(table->size);

	if (copy)
		memcpy(copy, table, table->size);
	return copy;
}

void policy_begin_limits(struct policy_table *table, uint64_t now_ns)
{
	struct policy_limit *limits = (struct policy_limit *)((char *)table + table->limits.at);

	for (uint32_t i = 0; i < table->limits.n; i++)
		if (limits[i].rule.edition_from_ns == POLICY_WHEN_OFFERED)
			limits[i].rule.edition_from_ns = now_ns + ADOPTED_NS;
}

struct policy_endpoint *policy_endpoint_of(struct policy_table *table, uint32_t service, uint32_t i)
{
	const struct policy_service *of = table_service(table, service);

	GW_ASSERT(i < of->endpoints.n);
	return (struct policy_endpoint *)((char *)table + of->endpoints.at) + i;
}
