/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/draw.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "core/document/form.h"
#include "policy/auth.h"
#include "policy/handling.h"
#include "policy/limit.h"
#include "policy/limit_buckets.h"
#include "policy/slots.h"

enum { KEY_MAX = POLICY_NAME_MAX + 1 + POLICY_HOST_TEXT_MAX };

/* Everything that a draft needs, in pieces as large as the policy asks for. */
struct drawing {
	struct policy_draft draft; /* First: policy_draw_free() goes back from it. */
	const struct written_policy *policy;
	const struct draw_options *opt;
	struct draft_service *services;
	struct draft_endpoint *endpoints; /* Of all services. */
	struct draft_route *routes;
	struct draft_field *fields; /* Of all routes. */
	struct draft_handling *handlings;
	struct draft_limit *limits;
	struct policy_route_limit *limit_lists; /* Of all routes. */
	struct auth_room auths;
	uint32_t n_listed;
	char *texts, *texts_end; /* Of all handlings: all, and what is free of them. */
	char (*authorities)[POLICY_HOST_TEXT_MAX + 16];
	uint32_t n_endpoints, n_fields, n_handlings;
	struct slot_name *by_name; /* Services. */
};

/* --- Slots. ---------------------------------------------------------------------------------- */

static struct slot_name *old_services(const struct policy_table *table, uint32_t *ret_n)
{
	struct slot_name *list = calloc(table->services.n + 1, sizeof(*list));

	*ret_n = 0;
	for (uint32_t i = 0; list && i < table->services.n; i++)
		if (table_service(table, i)->name.n)
			list[(*ret_n)++] = (struct slot_name){
				.name = table_text(table, table_service(table, i)->name),
				.slot = (uint16_t)i
			};
	return list;
}

static struct slot_name *old_routes(const struct policy_table *table, uint32_t *ret_n)
{
	struct slot_name *list = calloc(table->routes.n + 1, sizeof(*list));

	*ret_n = table->routes.n;
	for (uint32_t i = 0; list && i < table->routes.n; i++)
		list[i] =
			(struct slot_name){ .name = table_text(table, table_route(table, i)->name),
					    .slot = table_route(table, i)->slot };
	return list;
}

/* An endpoint is called as its service and its address. */
struct keys {
	struct slot_name *list;
	char (*texts)[KEY_MAX];
	uint32_t n;
};

static bool keys_make(struct keys *keys, uint32_t n)
{
	keys->n = 0;
	keys->list = calloc(n + 1, sizeof(keys->list[0]));
	keys->texts = calloc(n + 1, sizeof(keys->texts[0]));
	return keys->list && keys->texts;
}

static void keys_add(struct keys *keys, struct slice service, struct slice authority, uint16_t slot)
{
	struct writer w = writer_make(keys->texts[keys->n], KEY_MAX);

	writer_put(&w, service);
	writer_char(&w, ' ');
	writer_put(&w, authority);
	GW_ASSERT(!w.overflow);
	keys->list[keys->n] =
		(struct slot_name){ .name = writer_slice(&w), .i = keys->n, .slot = slot };
	keys->n++;
}

static void keys_free(struct keys *keys)
{
	free(keys->list);
	free(keys->texts);
}

static bool old_endpoints(const struct policy_table *table, struct keys *keys)
{
	if (!keys_make(keys, table ? POLICY_ENDPOINTS_MAX : 0))
		return false;
	for (uint32_t i = 0; table && i < table->services.n; i++) {
		const struct policy_service *service = table_service(table, i);

		for (uint32_t k = 0; k < service->endpoints.n; k++) {
			const struct policy_endpoint *one = table_endpoint(table, service, k);

			keys_add(keys, table_text(table, service->name),
				 table_text(table, one->authority), one->slot);
		}
	}
	return true;
}

/* The same address twice in a service has one slot only for the first. */
static int endpoint_slots(struct drawing *d)
{
	struct keys old = { 0 }, now = { 0 };
	int r = -ENOMEM;

	if (old_endpoints(d->opt->before, &old) && keys_make(&now, d->n_endpoints)) {
		for (uint32_t i = 0; i < d->draft.n_services; i++)
			for (uint32_t k = 0; k < d->services[i].n_endpoints; k++)
				keys_add(&now, d->services[i].name,
					 d->services[i].endpoints[k].authority, 0);
		r = slots_assign(old.list, old.n, now.list, now.n, POLICY_ENDPOINTS_MAX,
				 &d->draft.cursors.endpoints);
		for (uint32_t i = 0; r == 0 && i < now.n; i++)
			d->endpoints[i].slot = (uint16_t)now.list[i].slot;
	}
	keys_free(&old);
	keys_free(&now);
	return r;
}

static int service_slots(struct drawing *d)
{
	const struct policy_table *before = d->opt->before;
	uint32_t n_old = 0, n = d->draft.n_services;
	struct slot_name *old = before ? old_services(before, &n_old) : NULL;
	struct slot_name *now = calloc(n + 1, sizeof(*now));
	int r = now && (!before || old) ? 0 : -ENOMEM;

	for (uint32_t i = 0; r == 0 && i < n; i++)
		now[i].name = d->services[i].name;
	if (r == 0)
		r = slots_assign(old, n_old, now, n, POLICY_SERVICES_MAX,
				 &d->draft.cursors.services);
	for (uint32_t i = 0; r == 0 && i < n; i++)
		d->services[i].slot = (uint16_t)now[i].slot;
	if (r == 0)
		qsort(now, n, sizeof(*now), slots_by_name);
	d->by_name = now;
	free(old);
	return r;
}

static int route_slots(struct drawing *d)
{
	const struct policy_table *before = d->opt->before;
	uint32_t n_old = 0, n = d->draft.n_routes;
	struct slot_name *old = before ? old_routes(before, &n_old) : NULL;
	struct slot_name *now = calloc(n + 1, sizeof(*now));
	int r = now && (!before || old) ? 0 : -ENOMEM;

	for (uint32_t i = 0; r == 0 && i < n; i++)
		now[i].name = d->routes[i].name;
	if (r == 0)
		r = slots_assign(old, n_old, now, n, POLICY_ROUTES_MAX, &d->draft.cursors.routes);
	for (uint32_t i = 0; r == 0 && i < n; i++)
		d->routes[i].slot = (uint16_t)now[i].slot;
	free(old);
	free(now);
	return r;
}

/* --- Services. ------------------------------------------------------------------------------- */

static uint16_t share(uint64_t total, uint32_t n_workers)
{
	uint64_t each = (total + n_workers - 1) / n_workers;

	return (uint16_t)(each < UINT16_MAX ? each : UINT16_MAX);
}

/* "host:port" or "[v6]:port" for logs and as a name of the endpoint. */
static struct slice authority_of(const struct form_url *url, char *text, size_t size)
{
	struct writer w = writer_make(text, size);
	bool v6 = slice_find(url->host, ':') != SLICE_NONE;

	if (url->path.len) {
		writer_lit(&w, "unix:");
		writer_put(&w, url->path);
	} else {
		writer_put(&w, v6 ? SLICE("[") : SLICE(""));
		writer_put(&w, url->host);
		writer_put(&w, v6 ? SLICE("]:") : SLICE(":"));
		writer_u64(&w, url->port);
	}
	GW_ASSERT(!w.overflow);
	return slice_take(writer_slice(&w), POLICY_HOST_TEXT_MAX);
}

static void put_place(struct draft_endpoint *endpoint, const struct form_url *url)
{
	struct policy_addr *addr = &endpoint->addrs[0];
	int family = form_ip(url->host, addr->ip);

	if (url->path.len) {
		addr->family = AF_UNIX;
		addr->path_len = (uint8_t)url->path.len;
		memcpy(addr->path, url->path.ptr, url->path.len);
	} else if (family) {
		addr->family = (uint8_t)family;
		addr->port = url->port;
	} else {
		endpoint->host = url->host;
		endpoint->port = url->port;
		return;
	}
	endpoint->n_addrs = 1;
}

static void draw_endpoint(struct drawing *d, const struct written_endpoint *from,
			  enum form_scheme scheme)
{
	struct draft_endpoint *to = &d->endpoints[d->n_endpoints];
	char *text = d->authorities[d->n_endpoints];
	struct form_url url = { 0 };
	int r = form_endpoint(from->address, scheme, &url);

	GW_ASSERT(r == 0); /* The schema has checked it. */
	d->n_endpoints++;
	to->authority = authority_of(&url, text, sizeof(d->authorities[0]));
	to->server_name = d->opt->server_name.len ? d->opt->server_name
			  : url.host.len          ? url.host
						  : SLICE("localhost");
	put_place(to, &url);
}

static void draw_service(struct drawing *d, const struct written_service *from,
			 struct draft_service *to)
{
	bool is_tls = policy_is_tls((enum policy_protocol)from->protocol);

	*to = (struct draft_service){
		.name = from->name,
		.endpoints = &d->endpoints[d->n_endpoints],
		.n_endpoints = from->n_endpoints,
		.max_idle = share(from->pool.max_idle, d->opt->n_workers),
		.max_idle_all = d->opt->max_idle_all,
		.max_requests = (uint32_t)from->pool.max_requests,
		.protocol = (uint8_t)from->protocol,
		.timeouts = { .connect_ns = from->timeouts.connect_ns,
			      .response_head_ns = from->timeouts.response_head_ns,
			      .body_idle_ns = from->timeouts.idle_ns,
			      .write_stall_ns = from->timeouts.write_stall_ns,
			      .pool_idle_ns = from->pool.idle_ns,
			      .tunnel_idle_ns = from->timeouts.tunnel_idle_ns },
	};
	for (uint32_t i = 0; i < from->n_endpoints; i++)
		draw_endpoint(d, &from->endpoints[i], is_tls ? FORM_HTTPS : FORM_HTTP);
}

/* --- Routes. --------------------------------------------------------------------------------- */

static struct slice path_of(const struct written_match *from)
{
	if (from->path.len)
		return from->path;
	return from->path_prefix.len ? from->path_prefix : SLICE("/");
}

static void draw_match(struct drawing *d, const struct written_match *from, struct draft_match *to)
{
	*to = (struct draft_match){
		.hosts = from->hosts,
		.n_hosts = from->n_hosts,
		.path = path_of(from),
		.is_exact = from->path.len > 0,
		.methods = from->methods,
		.n_methods = from->n_methods,
		.fields = &d->fields[d->n_fields],
		.n_fields = from->n_headers,
	};
	for (uint32_t i = 0; i < from->n_headers; i++)
		d->fields[d->n_fields++] =
			(struct draft_field){ from->headers[i].name, from->headers[i].text };
}

static uint16_t slot_of(const struct drawing *d, struct slice service)
{
	const struct slot_name wanted = { .name = service }, *found;

	found = bsearch(&wanted, d->by_name, d->draft.n_services, sizeof(wanted), slots_by_name);
	GW_ASSERT(found); /* Checked when it was read. */
	return (uint16_t)found->slot;
}

static void draw_handling(struct drawing *d, const struct written_route *from,
			  struct draft_route *to)
{
	size_t room = handling_room(from);

	if (room == 0)
		return;
	to->handling = &d->handlings[d->n_handlings];
	handling_draw(from, d->texts_end, room, &d->handlings[d->n_handlings++]);
	d->texts_end += room;
}

static uint32_t limit_of(const struct drawing *d, struct slice name)
{
	uint32_t i = 0;

	while (i < d->policy->n_limits && !slice_eq(d->limits[i].name, name))
		i++;
	GW_ASSERT(i < d->policy->n_limits); /* Checked when it was read. */
	return i;
}

static void draw_limits(struct drawing *d, const struct written_route *from, struct draft_route *to)
{
	to->limits = d->limit_lists + d->n_listed;
	to->n_limits = from->n_limits;
	for (uint32_t i = 0; i < from->n_limits; i++)
		d->limit_lists[d->n_listed++].limit = limit_of(d, from->limits[i]);
}

static void draw_route(struct drawing *d, const struct written_route *from, struct draft_route *to)
{
	to->name = from->name;
	to->service = from->service.len ? slot_of(d, from->service) : POLICY_NO_SERVICE;
	draw_handling(d, from, to);
	draw_limits(d, from, to);
	to->auth = auth_of(d->policy, from->auth);
	to->scopes = (struct draft_texts){ from->scopes, from->n_scopes };
	to->max_body = from->max_body;
	to->retry = true;
	to->upgrades = (uint8_t)from->upgrades;
	draw_match(d, &from->match, &to->match);
}

/* --- The whole. ------------------------------------------------------------------------------ */

static int reserve(struct drawing *d)
{
	const struct written_policy *p = d->policy;
	uint32_t n_endpoints = 0, n_fields = 0, n_handlings = 0, n_listed = 0;
	size_t n_texts = 0;

	for (uint32_t i = 0; i < p->n_services; i++)
		n_endpoints += p->services[i].n_endpoints;
	for (uint32_t i = 0; i < p->n_routes; i++) {
		size_t room = handling_room(&p->routes[i]);

		n_fields += p->routes[i].match.n_headers;
		n_handlings += room > 0;
		n_listed += p->routes[i].n_limits;
		n_texts += room;
	}
	d->handlings = calloc(n_handlings + 1, sizeof(d->handlings[0]));
	d->texts = malloc(n_texts + 1);
	d->texts_end = d->texts;
	d->limits = calloc(p->n_limits + 1, sizeof(d->limits[0]));
	d->limit_lists = calloc(n_listed + 1, sizeof(d->limit_lists[0]));
	d->services = calloc(p->n_services + 1, sizeof(d->services[0]));
	d->endpoints = calloc(n_endpoints + 1, sizeof(d->endpoints[0]));
	d->authorities = calloc(n_endpoints + 1, sizeof(d->authorities[0]));
	d->routes = calloc(p->n_routes + 1, sizeof(d->routes[0]));
	d->fields = calloc(n_fields + 1, sizeof(d->fields[0]));
	return d->services && d->endpoints && d->authorities && d->routes && d->fields &&
			       d->handlings && d->texts && d->limits && d->limit_lists
		       ? 0
		       : -ENOMEM;
}

static int draw(struct drawing *d)
{
	const struct written_policy *p = d->policy;
	int r;

	d->draft = (struct policy_draft){ .generation = d->opt->generation,
					  .enabled = p->enabled,
					  .services = d->services,
					  .n_services = p->n_services,
					  .routes = d->routes,
					  .n_routes = p->n_routes,
					  .limits = d->limits,
					  .n_limits = p->n_limits };
	if (d->opt->before)
		d->draft.cursors = d->opt->before->cursors;
	for (uint32_t i = 0; i < p->n_services; i++)
		draw_service(d, &p->services[i], &d->services[i]);
	r = service_slots(d);
	if (r == 0)
		r = endpoint_slots(d);
	limits_draw(p, d->opt->before, d->opt->generation, d->limits);
	if (r == 0)
		r = auths_draw(p, d->opt->keyring, &d->auths);
	d->draft.auths = d->auths.auths;
	d->draft.n_auths = p->n_auths;
	d->draft.told = (struct draft_texts){ d->auths.told, d->auths.n_told };
	for (uint32_t i = 0; r == 0 && i < p->n_routes; i++)
		draw_route(d, &p->routes[i], &d->routes[i]);
	if (r == 0)
		r = route_slots(d);
	return r == 0 ? limit_buckets_assign(&d->draft, d->opt->before) : r;
}

int policy_draw(const struct written_policy *policy, const struct draw_options *opt,
		struct policy_draft **ret_draft)
{
	struct drawing *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return -ENOMEM;
	d->policy = policy;
	d->opt = opt;
	r = reserve(d);
	if (r == 0)
		r = draw(d);
	if (r == 0)
		*ret_draft = &d->draft;
	else
		policy_draw_free(&d->draft);
	return r;
}

void policy_draw_free(struct policy_draft *draft)
{
	struct drawing *d = GW_CONTAINER_OF(draft, struct drawing, draft);

	free(d->services);
	free(d->endpoints);
	free(d->authorities);
	free(d->routes);
	free(d->fields);
	free(d->handlings);
	free(d->texts);
	free(d->limits);
	free(d->limit_lists);
	auths_drop(&d->auths, d->opt->keyring);
	free(d->by_name);
	free(d);
}
