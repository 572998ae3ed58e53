/* SPDX-License-Identifier: Apache-2.0 */
/* Which route: cases by hand, then random ones against the rules, applied one by one. */
#include "policy/find.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "core/base/rng.h"
#include "policy/compile.h"

enum { ROUTES_MAX = 64, HOSTS_MAX = 3 };

/* --- Tables from a few words. ---------------------------------------------------------------- */

static struct rules {
	struct draft_route routes[ROUTES_MAX];
	struct slice hosts[ROUTES_MAX][HOSTS_MAX];
	struct slice methods[ROUTES_MAX][2];
	struct draft_field fields[ROUTES_MAX][2];
	uint32_t n;
	struct policy_table *table;
} rules;

static void forget(void)
{
	free(rules.table);
	memset(&rules, 0, sizeof(rules));
}

/* hosts: "a b", or NULL; path: "=/exact" or a prefix; method, field ("x-a"="1"): or NULL. */
static void rule(const char *hosts, const char *path, const char *method, const char *field)
{
	uint32_t i = rules.n++;
	struct draft_match *m = &rules.routes[i].match;
	struct slice left = slice_of(hosts), one;
	bool more = hosts;

	assert_true(rules.n <= ROUTES_MAX);
	rules.routes[i].slot = (uint16_t)i;
	rules.routes[i].name = SLICE("r");
	m->hosts = rules.hosts[i];
	while (more) {
		more = slice_split(left, ' ', &one, &left);
		rules.hosts[i][m->n_hosts++] = one;
	}
	m->is_exact = path[0] == '=';
	m->path = slice_of(path + m->is_exact);
	m->methods = rules.methods[i];
	if (method)
		rules.methods[i][m->n_methods++] = slice_of(method);
	m->fields = rules.fields[i];
	if (field)
		rules.fields[i][m->n_fields++] =
			(struct draft_field){ slice_of(field), SLICE("1") };
}

static void compile(void)
{
	struct draft_service service = { .name = SLICE_INIT("s") };
	struct policy_draft draft = { .edition = 1,
				      .services = &service,
				      .n_services = 1,
				      .routes = rules.routes,
				      .n_routes = rules.n };

	assert_int_equal(policy_compile(&draft, &rules.table), 0);
}

/* --- Asking. --------------------------------------------------------------------------------- */

/* A request has one field, or none: its name. */
static bool field_of(const void *head, struct slice name, struct slice *ret_value)
{
	*ret_value = SLICE("1");
	return head && slice_eq(slice_of(head), name);
}

enum { NO_HOST = -1, NO_PATH = -2 };

static int find(const char *method, const char *host, const char *path, const char *field)
{
	const struct policy_request request = { .method = slice_of(method),
						.host = slice_of(host),
						.path = slice_of(path),
						.field = field_of,
						.head = field };
	uint32_t route = 12345;

	switch (policy_find(rules.table, &request, &route)) {
	case POLICY_FOUND:
		return (int)route;
	case POLICY_UNKNOWN_HOST:
		return NO_HOST;
	case POLICY_UNKNOWN_PATH:
		break;
	}
	return NO_PATH;
}

static void assert_found(const char *method, const char *host, const char *path, const char *field,
			 int want)
{
	int got = find(method, host, path, field);

	if (got != want)
		fail_msg("%s %s %s %s: route %d, wanted %d", method, host, path, field ? field : "",
			 got, want);
}

static void hosts_decide_first(void **state)
{
	(void)state;
	forget();
	rule("a.test", "/api", NULL, NULL);
	rule("*.test", "/", NULL, NULL);
	rule("*.b.test", "/", NULL, NULL);
	rule("x.b.test y.b.test", "/x", NULL, NULL);
	compile();
	assert_found("GET", "a.test", "/api/1", NULL, 0);
	assert_found("GET", "a.test", "/", NULL, NO_PATH); /* Not *.test's. */
	assert_found("GET", "c.test", "/", NULL, 1);
	assert_found("GET", "c.d.test", "/", NULL, 1);
	assert_found("GET", "b.test", "/", NULL, 1);
	assert_found("GET", "q.b.test", "/", NULL, 2);
	assert_found("GET", "p.q.b.test", "/", NULL, 2);
	assert_found("GET", "y.b.test", "/x", NULL, 3);
	assert_found("GET", "y.b.test", "/z", NULL, NO_PATH);
	assert_found("GET", "test", "/", NULL, NO_HOST);
	assert_found("GET", ".test", "/", NULL, NO_HOST);
	assert_found("GET", "xtest", "/", NULL, NO_HOST);
	assert_found("GET", "", "/", NULL, NO_HOST);
}

static void any_host_is_for_the_rest(void **state)
{
	(void)state;
	forget();
	rule("a.test", "/a", NULL, NULL);
	rule(NULL, "/", NULL, NULL);
	compile();
	assert_found("GET", "b.test", "/a", NULL, 1);
	assert_found("GET", "", "/", NULL, 1);
	assert_found("GET", "a.test", "/b", NULL, NO_PATH);
}

static void paths_are_of_whole_segments(void **state)
{
	(void)state;
	forget();
	rule(NULL, "/api", NULL, NULL);
	rule(NULL, "/api/v1/users", NULL, NULL);
	rule(NULL, "=/api/v1", NULL, NULL);
	rule(NULL, "/dir/", NULL, NULL);
	rule(NULL, "=/end/", NULL, NULL);
	compile();
	assert_found("GET", "h", "/api", NULL, 0);
	assert_found("GET", "h", "/api/", NULL, 0);
	assert_found("GET", "h", "/apis", NULL, NO_PATH);
	assert_found("GET", "h", "/ap", NULL, NO_PATH);
	assert_found("GET", "h", "/api/v1", NULL, 2);
	assert_found("GET", "h", "/api/v1/", NULL, 0);
	assert_found("GET", "h", "/api/v1/user", NULL, 0);
	assert_found("GET", "h", "/api/v1/users", NULL, 1);
	assert_found("GET", "h", "/api/v1/users/7/x", NULL, 1);
	assert_found("GET", "h", "/dir", NULL, 3);
	assert_found("GET", "h", "/dir/x", NULL, 3);
	assert_found("GET", "h", "/end/", NULL, 4);
	assert_found("GET", "h", "/end", NULL, NO_PATH);
	assert_found("GET", "h", "/", NULL, NO_PATH);
}

static void what_asks_for_more_goes_first(void **state)
{
	(void)state;
	forget();
	rule(NULL, "/p", NULL, NULL);
	rule(NULL, "/p", "POST", NULL);
	rule(NULL, "/p", NULL, "x-a");
	rule(NULL, "/p", "POST", "x-a");
	rule(NULL, "/p", "POST", "x-a"); /* Never. */
	rule(NULL, "/p/q", "PUT", NULL);
	rule(NULL, "=/p/q", "DELETE", NULL);
	compile();
	assert_found("GET", "h", "/p", NULL, 0);
	assert_found("POST", "h", "/p", NULL, 1);
	assert_found("GET", "h", "/p", "x-a", 2);
	assert_found("POST", "h", "/p", "x-a", 3);
	assert_found("POST", "h", "/p", "x-b", 1);
	assert_found("PUT", "h", "/p/q", NULL, 5);
	assert_found("DELETE", "h", "/p/q", NULL, 6);
	assert_found("GET", "h", "/p/q", NULL, 0); /* On to shorter prefixes. */
	assert_found("get", "h", "/p", NULL, 0);
}

static void head_goes_where_get_goes(void **state)
{
	(void)state;
	forget();
	rule(NULL, "/p", NULL, NULL);
	rule(NULL, "/p", "GET", NULL);
	rule(NULL, "/q", "HEAD", NULL);
	rule(NULL, "/q", "GET", NULL);
	compile();
	assert_found("HEAD", "h", "/p", NULL, 1);
	assert_found("HEAD", "h", "/q", NULL, 2);
	assert_found("GET", "h", "/q", NULL, 3);
	assert_found("POST", "h", "/p", NULL, 0);
}

static void assert_allowed(const char *host, const char *path, const char *field, const char *want)
{
	const struct policy_request request = { .method = SLICE("DELETE"),
						.host = slice_of(host),
						.path = slice_of(path),
						.field = field_of,
						.head = field };
	char text[POLICY_ALLOW_MAX];
	struct writer list = writer_make(text, sizeof(text));

	assert_int_equal(find("DELETE", host, path, field), NO_PATH);
	assert_int_equal(policy_allow(rules.table, &request, &list), want != NULL);
	assert_int_equal(policy_allow(rules.table, &request, NULL), want != NULL);
	assert_true(slice_eq(writer_slice(&list), slice_of(want ? want : "")));
}

/* Of all places that the request comes by, and of no other. */
static void methods_that_would_be_taken_are_told(void **state)
{
	(void)state;
	forget();
	rule(NULL, "/p", "POST", NULL);
	rule(NULL, "/p", "GET", NULL);
	rule(NULL, "/p", "PUT", "x-a");
	rule(NULL, "/p/q", "POST", NULL);
	rule(NULL, "=/p/q", "PATCH", NULL);
	rule("a.test", "/p", "LOCK", NULL);
	rule("b.test", "/p", "LOCK", "x-a");
	compile();
	assert_allowed("h", "/p", NULL, "POST, GET, HEAD");
	assert_allowed("h", "/p", "x-a", "PUT, POST, GET, HEAD");
	assert_allowed("h", "/p/q", NULL, "PATCH, POST, GET, HEAD");
	assert_allowed("h", "/p/q/r", NULL, "POST, GET, HEAD");
	assert_allowed("h", "/", NULL, NULL);
	assert_allowed("a.test", "/p", NULL, "LOCK");
	assert_allowed("a.test", "/q", NULL, NULL);
	assert_allowed("b.test", "/p", NULL, NULL);
}

/* What has no room is left out as a whole. */
static void methods_that_are_told_are_bounded(void **state)
{
	static char names[ROUTES_MAX][32];
	char text[POLICY_ALLOW_MAX];
	struct writer list = writer_make(text, sizeof(text));
	const struct policy_request request = { .method = SLICE("GET"), .path = SLICE("/") };

	(void)state;
	forget();
	for (int i = 0; i < ROUTES_MAX; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "METHOD-%023d", i);
		rule(NULL, "/", names[i], NULL);
	}
	compile();
	assert_true(policy_allow(rules.table, &request, &list));
	assert_false(list.overflow);
	assert_int_equal(writer_len(&list), 16 * 30 + 15 * 2);
}

/* As deep as a prefix may be, and a path that goes on behind it. */
static void depths_are_bounded(void **state)
{
	char prefix[2 * POLICY_SEGMENTS_MAX + 1] = "", path[4096] = "";

	(void)state;
	for (int i = 0; i < POLICY_SEGMENTS_MAX; i++)
		memcpy(prefix + 2 * i, "/s", 3);
	for (int i = 0; i < 2000; i++)
		memcpy(path + 2 * i, "/s", 3);
	forget();
	rule(NULL, prefix, NULL, NULL);
	compile();
	assert_found("GET", "h", prefix, NULL, 0);
	assert_found("GET", "h", path, NULL, 0);
	path[2 * POLICY_SEGMENTS_MAX - 2] = '\0';
	assert_found("GET", "h", path, NULL, NO_PATH);
}

/* --- Against the rules. ---------------------------------------------------------------------- */

static const char *const hosts[] = { "a.test", "b.test", "*.test", "*.b.test", "c.b.test", NULL };
static const char *const paths[] = { "/", "/a", "/a/b", "/a/b/c", "/b", "=/a", "=/a/b", "=/" };
static const char *const methods[] = { NULL, NULL, "GET", "POST" };
static const char *const fields[] = { NULL, NULL, NULL, "x-a" };

static const char *pick(struct rng *rng, const char *const *list, size_t n)
{
	return list[rng_next(rng) % n];
}

#define PICK(rng, list) pick(rng, list, ARRAY_SIZE(list))

/* How well a rule's host fits: 0: not; 1: any; more the more of the name it says. */
static uint32_t host_rank(const struct draft_match *m, struct slice host)
{
	uint32_t best = m->n_hosts == 0;

	for (uint32_t i = 0; i < m->n_hosts; i++) {
		struct slice want = m->hosts[i];
		uint32_t rank = 0;

		if (slice_eq(want, host))
			rank = 1000;
		else if (slice_starts_with(want, SLICE("*.")) && host.len > want.len - 1 &&
			 slice_ends_with(host, slice_drop(want, 1)))
			rank = 1 + (uint32_t)want.len;
		best = rank > best ? rank : best;
	}
	return best;
}

static uint32_t path_rank(const struct draft_match *m, struct slice path)
{
	struct slice prefix = slice_ends_with(m->path, SLICE("/"))
				      ? slice_take(m->path, m->path.len - 1)
				      : m->path;

	if (m->is_exact)
		return slice_eq(m->path, path) ? 1000 : 0;
	if (!slice_starts_with(path, prefix))
		return 0;
	return path.len == prefix.len || path.ptr[prefix.len] == '/' ? 1 + (uint32_t)prefix.len : 0;
}

static bool is_asked(const struct draft_match *m, const char *method, const char *field)
{
	return (m->n_methods == 0 || slice_eq(m->methods[0], slice_of(method))) &&
	       (m->n_fields == 0 || (field && slice_eq(m->fields[0].name, slice_of(field))));
}

static int expected(const char *method, const char *host, const char *path, const char *field)
{
	uint32_t host_best = 0, best = 0;
	int found = NO_PATH;

	for (uint32_t i = 0; i < rules.n; i++) {
		uint32_t rank = host_rank(&rules.routes[i].match, slice_of(host));

		host_best = rank > host_best ? rank : host_best;
	}
	if (host_best == 0)
		return NO_HOST;
	for (uint32_t i = 0; i < rules.n; i++) {
		const struct draft_match *m = &rules.routes[i].match;
		uint32_t rank = path_rank(m, slice_of(path));

		if (host_rank(m, slice_of(host)) != host_best || rank == 0 ||
		    !is_asked(m, method, field))
			continue;
		rank = rank * 4 + m->n_fields * 2 + (m->n_methods > 0);
		if (rank > best) {
			best = rank;
			found = (int)i;
		}
	}
	return found;
}

static void random_rules_are_kept(void **state)
{
	static const char *const asked_hosts[] = { "a.test",   "b.test", "c.test", "c.b.test",
						   "d.b.test", "x",      "" };
	static const char *const asked_paths[] = { "/",        "/a",  "/a/", "/a/b",
						   "/a/b/c/d", "/ab", "/b",  "/c" };
	static const char *const asked_methods[] = { "GET", "POST", "PUT" };
	static const char *const asked_fields[] = { NULL, "x-a" };
	struct rng rng;

	(void)state;
	rng_seed(&rng, 4);
	for (int round = 0; round < 300; round++) {
		forget();
		for (uint64_t n = 1 + rng_next(&rng) % 20; n > 0; n--)
			rule(PICK(&rng, hosts), PICK(&rng, paths), PICK(&rng, methods),
			     PICK(&rng, fields));
		compile();
		for (int i = 0; i < 100; i++) {
			const char *method = PICK(&rng, asked_methods),
				   *host = PICK(&rng, asked_hosts), *path = PICK(&rng, asked_paths),
				   *field = PICK(&rng, asked_fields);

			assert_found(method, host, path, field,
				     expected(method, host, path, field));
		}
	}
	forget();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts_decide_first),
		cmocka_unit_test(any_host_is_for_the_rest),
		cmocka_unit_test(paths_are_of_whole_segments),
		cmocka_unit_test(what_asks_for_more_goes_first),
		cmocka_unit_test(head_goes_where_get_goes),
		cmocka_unit_test(methods_that_would_be_taken_are_told),
		cmocka_unit_test(methods_that_are_told_are_bounded),
		cmocka_unit_test(depths_are_bounded),
		cmocka_unit_test(random_rules_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
