/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/read.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/arena.h"
#include "core/document/bind.h"
#include "core/document/form.h"
#include "core/document/path.h"
#include "policy/auth.h"
#include "policy/complaint.h"
#include "policy/handling.h"
#include "policy/limit.h"
#include "policy/match.h"
#include "policy/san.h"
#include "policy/short_form.h"
#include "policy/table.h"

enum {
	ARENA_LEAST = 1024 * 1024,
	/* "- {name: a, service: b}" makes a structure of a route; pages not touched cost nothing. */
	ARENA_PER_BYTE = 64,
};

struct block {
	struct written_policy policy; /* First: policy_read_free() goes back from it. */
	struct arena arena;
	_Alignas(16) char bytes[];
};

static const struct report_place nowhere;

static void add_error(struct report *rep, const char *list, uint32_t i, const char *below,
		      const char *text, struct slice what)
{
	char path[REPORT_PATH_MAX], shown[PATH_SHOWN_MAX];
	struct writer w = writer_make(path, sizeof(path));

	writer_put(&w, slice_of(list));
	path_put_index(&w, i);
	writer_put(&w, slice_of(below));
	report_add(rep, REPORT_SEMANTIC, nowhere, writer_slice(&w), "%s %s", path_show(what, shown),
		   text);
}

/* --- Names. ---------------------------------------------------------------------------------- */

struct named {
	struct slice name;
	uint32_t i;
};

static int by_name(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int r = slice_cmp(x->name, y->name);

	return r ? r : x->i < y->i ? -1 : x->i > y->i;
}

static int same_name(const void *a, const void *b)
{
	return slice_cmp(((const struct named *)a)->name, ((const struct named *)b)->name);
}

/* Sorted; to be freed. */
static struct named *service_names(const struct written_policy *p)
{
	struct named *names = calloc(p->n_services + 1, sizeof(*names));

	for (uint32_t i = 0; names && i < p->n_services; i++)
		names[i] = (struct named){ p->services[i].name, i };
	if (names)
		qsort(names, p->n_services, sizeof(*names), by_name);
	return names;
}

static int check_services_exist(const struct written_policy *p, struct report *rep)
{
	struct named *names = service_names(p);

	if (!names)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->n_routes; i++) {
		struct named wanted = { .name = p->routes[i].service };

		if (wanted.name.len &&
		    !bsearch(&wanted, names, p->n_services, sizeof(*names), same_name))
			add_error(rep, "routes", i, ".service", "is no service of this policy",
				  wanted.name);
	}
	free(names);
	return 0;
}

static int check_route_names(const struct written_policy *p, struct report *rep)
{
	struct named *names = calloc(p->n_routes + 1, sizeof(*names));

	if (!names)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->n_routes; i++)
		names[i] = (struct named){ p->routes[i].name, i };
	qsort(names, p->n_routes, sizeof(*names), by_name);
	for (uint32_t i = 1; i < p->n_routes; i++)
		if (slice_eq(names[i - 1].name, names[i].name))
			add_error(rep, "routes", names[i].i, ".name",
				  "is the name of another route, too", names[i].name);
	free(names);
	return 0;
}

/* --- What routes do. ------------------------------------------------------------------------- */

static void check_purpose(const struct written_route *r, uint32_t i, struct report *rep)
{
	int n = (r->service.len > 0) + (r->redirect.to.len > 0) + (r->respond.status > 0);

	if (n == 0)
		complaint_route(rep, i, "", "needs one of service, redirect and respond");
	else if (n > 1)
		complaint_route(rep, i, "", "has more than one of service, redirect and respond");
}

static void check_rewrite(const struct written_route *r, uint32_t i, struct report *rep)
{
	const struct written_rewrite *rewrite = &r->rewrite;

	if (rewrite->prefix.len && rewrite->path.len)
		complaint_route(rep, i, ".rewrite",
				"has prefix and path, which exclude each other");
	if (rewrite->prefix.len && r->match.path.len)
		complaint_route(rep, i, ".rewrite.prefix",
				"needs a match by path_prefix, not by path");
	if ((rewrite->prefix.len || rewrite->path.len || rewrite->host.len) && !r->service.len)
		complaint_route(rep, i, ".rewrite", "is of no use without a service");
}

/* Of what is said to a service, when there is none. */
static void check_for_service(const struct written_route *r, uint32_t i, struct report *rep)
{
	const struct written_headers *h = &r->request_headers;

	if (r->service.len)
		return;
	if (r->cookies.n_allow || r->cookies.n_drop || r->cookies.max_bytes)
		complaint_route(rep, i, ".cookies", "is of no use without a service");
	if (h->n_set || h->n_add || h->n_remove)
		complaint_route(rep, i, ".request_headers", "is of no use without a service");
}

static bool has_name(const struct schema_pair *list, uint32_t n, struct slice name)
{
	for (uint32_t i = 0; i < n; i++)
		if (slice_eq_nocase(list[i].name, name))
			return true;
	return false;
}

/* RFC 9110 15.3.5, 15.3.6, 15.4.5. */
static void check_body(const struct written_respond *respond, uint32_t i, struct report *rep)
{
	unsigned status = (unsigned)respond->status;

	if (respond->body.len && (status == 204 || status == 205 || status == 304))
		complaint_route(rep, i, ".respond.body", "goes with no answer of status %u",
				status);
	if (respond->body.len && status == 0)
		complaint_route(rep, i, ".respond.body", "needs a status");
}

/* A client could not follow it. 300 and 304 are whole without. */
static void check_location(const struct written_route *r, uint32_t i, struct report *rep)
{
	const struct written_headers *h = &r->response_headers;
	unsigned status = (unsigned)r->respond.status;

	if (status < 301 || status > 308 || status == 304 ||
	    has_name(h->set, h->n_set, SLICE("location")) ||
	    has_name(h->add, h->n_add, SLICE("location")))
		return;
	complaint_route(rep, i, ".respond.status",
			"%u needs a location: use redirect, or set it in response_headers", status);
}

static void check_respond(const struct written_route *r, uint32_t i, struct report *rep)
{
	check_body(&r->respond, i, rep);
	check_location(r, i, rep);
}

static bool is_set_twice(const struct schema_pair *set, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t k = 0; k < i; k++)
			if (slice_eq_nocase(set[i].name, set[k].name))
				return true;
	return false;
}

static void check_headers(const struct written_route *r, uint32_t i, struct report *rep)
{
	if (is_set_twice(r->request_headers.set, r->request_headers.n_set))
		complaint_route(rep, i, ".request_headers.set",
				"has a field twice, in two spellings");
	if (has_name(r->request_headers.add, r->request_headers.n_add, SLICE("cookie")))
		complaint_route(rep, i, ".request_headers.add",
				"would make a second cookie of a client's, which RFC 6265 5.4 "
				"forbids: set stands in place of it");
	if (is_set_twice(r->response_headers.set, r->response_headers.n_set))
		complaint_route(rep, i, ".response_headers.set",
				"has a field twice, in two spellings");
}

static void check_cors(const struct written_cors *cors, uint32_t i, struct report *rep)
{
	if (cors->n_origins == 0 &&
	    (cors->n_methods || cors->n_headers || cors->n_expose || cors->credentials))
		complaint_route(rep, i, ".cors",
				"has no origins, without which nothing of it applies");
	for (uint32_t k = 0; k < cors->n_origins; k++)
		if (cors->credentials && slice_eq(cors->origins[k], SLICE("*")))
			complaint_route(
				rep, i, ".cors.credentials",
				"would let every page of the web act as the user: name the origins");
}

/* What goes with a request until its answer has a bound. */
static int check_response(const struct written_route *r, uint32_t i, struct report *rep)
{
	struct draft_handling handling;
	size_t size = handling_room(r);
	char *room = size ? malloc(size) : NULL;

	if (size == 0)
		return 0;
	if (!room)
		return -ENOMEM;
	handling_draw(r, room, size, &handling);
	if (handling_response_most(&handling) > POLICY_RESPONSE_MAX)
		complaint_route(
			rep, i, ".response_headers",
			"come to more than 1024 bytes, with cors and the values of variables");
	if (handling.cors.preflight.len > POLICY_RESPONSE_MAX)
		complaint_route(rep, i, ".cors", "has methods and headers of more than 1024 bytes");
	free(room);
	return 0;
}

/* Few enough to be looked through. */
static bool has_limit(const struct written_policy *p, struct slice name)
{
	for (uint32_t i = 0; i < p->n_limits; i++)
		if (slice_eq(p->limits[i].name, name))
			return true;
	return false;
}

static void check_limits(const struct written_policy *p, uint32_t i, struct report *rep)
{
	const struct written_route *r = &p->routes[i];

	for (uint32_t k = 0; k < r->n_limits; k++) {
		if (!has_limit(p, r->limits[k]))
			add_error(rep, "routes", i, ".limits", "is no limit of this policy",
				  r->limits[k]);
		for (uint32_t l = 0; l < k; l++)
			if (slice_eq(r->limits[k], r->limits[l]))
				add_error(rep, "routes", i, ".limits", "is there twice",
					  r->limits[k]);
	}
}

static void check_rules(const struct written_policy *p, struct report *rep)
{
	char path[REPORT_PATH_MAX];
	struct gcra_rule rule;

	for (uint32_t i = 0; i < p->n_limits; i++) {
		struct writer w = writer_make(path, sizeof(path));

		if (limit_rule(&p->limits[i], &rule) == 0)
			continue;
		path_put_key(&w, SLICE("limits"));
		path_put_key(&w, p->limits[i].name);
		report_add(rep, REPORT_RANGE, nowhere, writer_slice(&w),
			   "rate and burst go together to no bucket: at most 10000000/s, and what "
			   "is full again within 36 years");
	}
}

static int check_handling(const struct written_route *r, uint32_t i, struct report *rep)
{
	check_purpose(r, i, rep);
	check_respond(r, i, rep);
	check_rewrite(r, i, rep);
	check_for_service(r, i, rep);
	check_headers(r, i, rep);
	check_cors(&r->cors, i, rep);
	if (r->cookies.n_allow && r->cookies.n_drop)
		complaint_route(rep, i, ".cookies", "has allow and drop, which exclude each other");
	return check_response(r, i, rep);
}

/* Names of hosts and fields are compared in lower case (RFC 9110 4.2.3, 5.1). In our own arena. */
static void lower(struct slice text)
{
	char *bytes = (char *)(uintptr_t)text.ptr;

	for (size_t i = 0; i < text.len; i++)
		bytes[i] = slice_lower(bytes[i]);
}

static void lower_match(const struct written_match *m)
{
	for (uint32_t i = 0; i < m->n_hosts; i++)
		lower(m->hosts[i]);
	for (uint32_t i = 0; i < m->n_headers; i++)
		lower(m->headers[i].name);
}

static bool is_same_place(struct slice one, struct slice other, bool tls)
{
	enum form_scheme scheme = tls ? FORM_HTTPS : FORM_HTTP;
	struct form_url a, b;

	return form_endpoint(one, scheme, &a) == 0 && form_endpoint(other, scheme, &b) == 0 &&
	       a.port == b.port && slice_eq_nocase(a.host, b.host) && slice_eq(a.path, b.path);
}

static void check_places(const struct written_service *service, struct report *rep)
{
	bool tls = policy_is_tls((enum policy_protocol)service->protocol);
	char path[REPORT_PATH_MAX], shown[PATH_SHOWN_MAX];

	for (uint32_t i = 0; i < service->n_endpoints; i++)
		for (uint32_t k = 0; k < i; k++) {
			struct writer w = writer_make(path, sizeof(path));

			if (!is_same_place(service->endpoints[i].address,
					   service->endpoints[k].address, tls))
				continue;
			path_put_key(&w, SLICE("services"));
			path_put_key(&w, service->name);
			path_put_key(&w, SLICE("endpoints"));
			path_put_index(&w, i);
			report_add(rep, REPORT_SEMANTIC, nowhere, writer_slice(&w),
				   "%s is endpoints[%u], too",
				   path_show(service->endpoints[i].address, shown), k);
		}
}

static void check_endpoints(const struct written_policy *p, struct report *rep)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < p->n_services; i++) {
		n += p->services[i].n_endpoints;
		check_places(&p->services[i], rep);
	}
	if (n > POLICY_ENDPOINTS_MAX)
		report_add(rep, REPORT_LIMIT, nowhere, SLICE("services"),
			   "have %u endpoints in all; at most %u are allowed", n,
			   POLICY_ENDPOINTS_MAX);
}

static int check(const struct written_policy *p, struct report *rep)
{
	uint32_t n_before = rep->n_all;
	int r = 0;

	for (uint32_t i = 0; r == 0 && i < p->n_routes; i++) {
		match_check(&p->routes[i].match, i, rep);
		lower_match(&p->routes[i].match);
		r = check_handling(&p->routes[i], i, rep);
		check_limits(p, i, rep);
	}
	check_rules(p, rep);
	for (uint32_t i = 0; i < p->n_auths; i++)
		san_sort(p->auths[i].mtls.sans, p->auths[i].mtls.n_sans);
	if (r == 0)
		r = auths_check(p, rep);
	check_endpoints(p, rep);
	if (r == 0)
		r = check_services_exist(p, rep);
	if (r == 0)
		r = check_route_names(p, rep);
	if (r == 0)
		r = match_check_all(p, rep);
	return r < 0 ? r : rep->n_all == n_before ? 0 : -EINVAL;
}

/* Rules about several values know paths; the document knows where those are. */
static void add_places(const struct document_node *root, struct report *rep)
{
	for (uint32_t i = 0; i < rep->n; i++)
		if (rep->errors[i].place.line == 0)
			rep->errors[i].place =
				document_nearest(root, slice_of(rep->errors[i].path))->place;
}

/* --- Public. --------------------------------------------------------------------------------- */

int policy_read(const struct document_node *root, size_t room, struct report *rep,
		struct written_policy **ret_policy)
{
	size_t size = ARENA_LEAST + ARENA_PER_BYTE * room;
	struct block *block = calloc(1, sizeof(*block) + size);
	int r;

	if (!block)
		return -ENOMEM;
	arena_init(&block->arena, block->bytes, size);
	r = bind_fill(&policy_schema, root, &block->arena, rep, &block->policy);
	if (r == -ENOMEM && rep->n_all > 0)
		r = -EINVAL; /* Elements that say nothing take room, too: that is what is wrong. */
	if (r == 0)
		r = short_form_expand(&block->policy, &block->arena, rep);
	if (r == 0)
		r = check(&block->policy, rep);
	if (r == -EINVAL)
		add_places(root, rep);
	if (r == 0)
		*ret_policy = &block->policy;
	else
		policy_read_free(&block->policy);
	return r;
}

void policy_read_free(struct written_policy *policy)
{
	struct block *block;

	if (!policy)
		return;
	block = GW_CONTAINER_OF(policy, struct block, policy);
	arena_fini(&block->arena);
	free(block);
}
