/* SPDX-License-Identifier: Apache-2.0 */
#include "policy/match.h"

#include <errno.h>
#include <stdlib.h>

#include "core/base/writer.h"
#include "core/document/path.h"
#include "policy/bounds.h"
#include "policy/complaint.h"

/* --- One route's. ---------------------------------------------------------------------------- */

static void check_paths(const struct written_match *m, uint32_t i, struct report *rep)
{
	char shown[PATH_SHOWN_MAX];
	uint32_t n_segments = 0;

	for (size_t k = 0; k < m->path_prefix.len; k++)
		n_segments += m->path_prefix.ptr[k] == '/';
	if (m->path.len && m->path_prefix.len)
		complaint_route(rep, i, ".match",
				"has path and path_prefix, which exclude each other");
	if (n_segments > POLICY_SEGMENTS_MAX)
		complaint_route(rep, i, ".match.path_prefix", "%s has more than 31 segments",
				path_show(m->path_prefix, shown));
}

/* Those that are written in lower case by mistake: others may be as they like. */
static const char *const known_methods[] = { "GET",     "HEAD",  "POST",  "PUT",    "DELETE",
					     "OPTIONS", "PATCH", "TRACE", "CONNECT" };

static void check_method(struct slice method, uint32_t i, struct report *rep)
{
	char shown[PATH_SHOWN_MAX];

	if (slice_eq(method, SLICE("TRACE")) || slice_eq(method, SLICE("CONNECT"))) {
		complaint_route(rep, i, ".match.methods",
				"%s takes no request: the gateway answers it with 405",
				path_show(method, shown));
		return;
	}
	for (size_t k = 0; k < ARRAY_SIZE(known_methods); k++)
		if (slice_eq_nocase(method, slice_of(known_methods[k])) &&
		    !slice_eq(method, slice_of(known_methods[k])))
			complaint_route(rep, i, ".match.methods",
					"%s takes no request: methods are case-sensitive: %s",
					path_show(method, shown), known_methods[k]);
}

static void check_field(const struct schema_pair *field, uint32_t i, struct report *rep)
{
	char shown[PATH_SHOWN_MAX];

	if (slice_eq_nocase(field->name, SLICE("host")))
		complaint_route(rep, i, ".match.headers", "has %s, which hosts is for",
				path_show(field->name, shown));
	if (slice_find(field->name, '_') != SLICE_NONE)
		complaint_route(rep, i, ".match.headers",
				"has %s, and requests with '_' in a field's name are refused",
				path_show(field->name, shown));
	if (slice_trim(field->text).len != field->text.len)
		complaint_route(rep, i, ".match.headers",
				"has a value with blanks at its ends, which no request has: %s",
				path_show(field->text, shown));
}

void match_check(const struct written_match *m, uint32_t i, struct report *rep)
{
	check_paths(m, i, rep);
	for (uint32_t k = 0; k < m->n_methods; k++)
		check_method(m->methods[k], i, rep);
	for (uint32_t k = 0; k < m->n_headers; k++) {
		check_field(&m->headers[k], i, rep);
		for (uint32_t l = 0; l < k; l++)
			if (slice_eq_nocase(m->headers[k].name, m->headers[l].name))
				complaint_route(rep, i, ".match.headers",
						"has a field twice, in two spellings");
	}
}

/* --- All of them. ---------------------------------------------------------------------------- */

/* A route under one of its hosts and its path. */
struct place {
	struct slice host; /* Empty: any. */
	struct slice path; /* As it is looked for: a prefix without a '/' at its end. */
	const struct written_match *match;
	uint32_t route; /* Index. */
};

enum { NOBODY = UINT32_MAX };

struct places {
	const struct written_policy *policy;
	struct report *rep;
	struct place *list; /* Sorted by place, then in the order of trying (find.h). */
	uint32_t n;
	bool *takes;     /* Of each route: it takes requests in one place at least; */
	uint32_t *taker; /* or who takes them, in the first place where it does not; NOBODY. */
};

static bool is_exact(const struct written_match *m)
{
	return m->path.len > 0;
}

static struct slice path_of(const struct written_match *m)
{
	struct slice path = is_exact(m) ? m->path : m->path_prefix;

	return !is_exact(m) && slice_ends_with(path, SLICE("/")) ? slice_take(path, path.len - 1)
								 : path;
}

static int place_cmp(const struct place *a, const struct place *b)
{
	int r = slice_cmp(a->host, b->host);

	if (r == 0)
		r = is_exact(b->match) - is_exact(a->match);
	return r ? r : slice_cmp(a->path, b->path);
}

static int by_place(const void *one, const void *other)
{
	const struct place *a = one, *b = other;
	int r = place_cmp(a, b);

	if (r)
		return r;
	if (a->match->n_headers != b->match->n_headers)
		return a->match->n_headers > b->match->n_headers ? -1 : 1;
	if ((a->match->n_methods > 0) != (b->match->n_methods > 0))
		return a->match->n_methods > 0 ? -1 : 1;
	return a->route < b->route ? -1 : a->route > b->route;
}

static bool names_method(const struct written_match *m, struct slice method)
{
	for (uint32_t i = 0; i < m->n_methods; i++)
		if (slice_eq(m->methods[i], method))
			return true;
	return false;
}

static bool takes_method(const struct written_match *m, struct slice method)
{
	return m->n_methods == 0 || names_method(m, method) ||
	       (slice_eq(method, SLICE("HEAD")) && names_method(m, SLICE("GET")));
}

static bool takes_methods(const struct written_match *m, const struct written_match *of)
{
	for (uint32_t i = 0; i < of->n_methods; i++)
		if (!takes_method(m, of->methods[i]))
			return false;
	return of->n_methods > 0 || m->n_methods == 0;
}

static bool has_field(const struct written_match *m, const struct schema_pair *field)
{
	for (uint32_t i = 0; i < m->n_headers; i++)
		if (slice_eq(m->headers[i].name, field->name) &&
		    slice_eq(m->headers[i].text, field->text))
			return true;
	return false;
}

/* Nothing is left for 'later': who goes first asks for as many fields at least. */
static bool takes_all(const struct written_match *first, const struct written_match *later)
{
	for (uint32_t i = 0; i < first->n_headers; i++)
		if (!has_field(later, &first->headers[i]))
			return false;
	return takes_methods(first, later);
}

/* How many from the i-th on have the same host and path. */
static uint32_t run(const struct places *p, uint32_t i)
{
	uint32_t n = 1;

	while (i + n < p->n && place_cmp(&p->list[i], &p->list[i + n]) == 0)
		n++;
	return n;
}

static void refuse_many(struct places *p, const struct place *place, uint32_t n)
{
	static const struct report_place nowhere;
	char host[PATH_SHOWN_MAX], path[PATH_SHOWN_MAX];

	report_add(p->rep, REPORT_LIMIT, nowhere, SLICE("routes"),
		   "%u have %s%s and the %s %s, and differ by methods and headers only; at "
		   "most %u are allowed",
		   n, place->host.len ? "the host " : "no hosts",
		   place->host.len ? path_show(place->host, host) : "",
		   is_exact(place->match) ? "path" : "path_prefix",
		   path_show(place->path.len ? place->path : SLICE("/"), path),
		   POLICY_PLACE_ROUTES_MAX);
}

static bool is_twice(const struct place *place)
{
	return place[0].route == place[1].route;
}

/* From the i-th place on, n are the same. */
static void look_for_takers(struct places *p, uint32_t i, uint32_t n)
{
	char shown[PATH_SHOWN_MAX];

	for (uint32_t k = i; k < i + n; k++) {
		const struct place *place = &p->list[k];
		uint32_t first = i;

		while (first < k && !takes_all(p->list[first].match, place->match))
			first++;
		if (first == k)
			p->takes[place->route] = true;
		else if (is_twice(place - 1))
			complaint_route(p->rep, place->route, ".match.hosts", "has %s twice",
					path_show(place->host, shown));
		else if (p->taker[place->route] == NOBODY)
			p->taker[place->route] = p->list[first].route;
	}
}

static void look_at_places(struct places *p)
{
	for (uint32_t i = 0, n; i < p->n; i += n) {
		n = run(p, i);
		if (n <= POLICY_PLACE_ROUTES_MAX) {
			look_for_takers(p, i, n);
			continue;
		}
		refuse_many(p, &p->list[i], n);
		for (uint32_t k = i; k < i + n; k++)
			p->takes[p->list[k].route] = true; /* Nobody has looked. */
	}
}

static void refuse_idle(struct places *p)
{
	const struct written_route *routes = p->policy->routes;
	char shown[PATH_SHOWN_MAX], taker[PATH_SHOWN_MAX];

	for (uint32_t i = 0; i < p->policy->n_routes; i++)
		if (!p->takes[i])
			complaint_route(p->rep, i, ".match",
					"%s takes no request: for its hosts, path, headers and "
					"methods routes[%u], %s, is tried before it",
					path_show(routes[i].name, shown), p->taker[i],
					path_show(routes[p->taker[i]].name, taker));
}

static uint32_t n_hosts_of(const struct written_match *m)
{
	return m->n_hosts ? m->n_hosts : 1;
}

static void collect(struct places *p)
{
	for (uint32_t i = 0; i < p->policy->n_routes; i++) {
		const struct written_match *m = &p->policy->routes[i].match;

		p->taker[i] = NOBODY;
		for (uint32_t k = 0; k < n_hosts_of(m); k++)
			p->list[p->n++] =
				(struct place){ .host = m->n_hosts ? m->hosts[k] : SLICE(""),
						.path = path_of(m),
						.match = m,
						.route = i };
	}
	qsort(p->list, p->n, sizeof(*p->list), by_place);
}

int match_check_all(const struct written_policy *policy, struct report *rep)
{
	struct places p = { .policy = policy, .rep = rep };
	size_t n = 0;
	int r = -ENOMEM;

	for (uint32_t i = 0; i < policy->n_routes; i++)
		n += n_hosts_of(&policy->routes[i].match);
	p.list = calloc(n + 1, sizeof(*p.list));
	p.takes = calloc(policy->n_routes + 1, sizeof(*p.takes));
	p.taker = calloc(policy->n_routes + 1, sizeof(*p.taker));
	if (p.list && p.takes && p.taker) {
		collect(&p);
		look_at_places(&p);
		refuse_idle(&p);
		r = 0;
	}
	free(p.list);
	free(p.takes);
	free(p.taker);
	return r;
}
