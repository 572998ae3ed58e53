/* SPDX-License-Identifier: Apache-2.0 */
/* From what was written to a table, and on to the next one. */
#include "policy/draw.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/document/yaml.h"
#include "policy/compile.h"
#include "policy/decide.h"
#include "policy/read.h"

static struct policy_table *table;

/* Compiled, in place of the one before. */
static void draw_yaml(const char *yaml)
{
	struct draw_options opt = {
		.before = table, .generation = 3, .n_workers = 4, .max_idle_all = 9
	};
	static struct report rep;
	struct policy_table *before = table;
	struct written_policy *policy;
	struct policy_draft *draft;
	struct document *doc;

	report_init(&rep, NULL);
	assert_int_equal(yaml_read(slice_of(yaml), &rep, &doc), 0);
	assert_int_equal(policy_read(document_root(doc), strlen(yaml), &rep, &policy), 0);
	assert_int_equal(policy_draw(policy, &opt, &draft), 0);
	draft->edition = 1;
	assert_int_equal(policy_compile(draft, &table), 0);
	policy_draw_free(draft);
	policy_read_free(policy);
	document_free(doc);
	free(before);
}

static int forget(void **state)
{
	(void)state;
	free(table);
	table = NULL;
	return 0;
}

static const struct policy_service *service_named(const char *name, uint32_t *ret_slot)
{
	for (uint32_t i = 0; i < table->services.n; i++)
		if (slice_eq(table_text(table, table_service(table, i)->name), slice_of(name))) {
			*ret_slot = i;
			return table_service(table, i);
		}
	return NULL;
}

static void endpoints_are_addresses_or_names(void **state)
{
	const struct policy_service *s;
	uint32_t slot;

	(void)state;
	draw_yaml("version: 1\nservices: {a: {protocol: h2, endpoints: [{address: 192.0.2.1}, "
		  "{address: \"[2001:db8::1]:8\"}, {address: \"unix:/run/x\"}, {address: h.test}], "
		  "pool: {max_idle: 10, max_requests: off}}}");
	s = service_named("a", &slot);
	assert_true(s->protocol == POLICY_H2 && s->endpoints.n == 4);
	assert_true(s->max_idle == 3 && s->max_idle_all == 9 && s->max_requests == 0);
	assert_true(slice_eq(table_text(table, table_endpoint(table, s, 0)->authority),
			     SLICE("192.0.2.1:443")));
	assert_int_equal(table_endpoint(table, s, 0)->addrs[0].port, 443);
	assert_true(slice_eq(table_text(table, table_endpoint(table, s, 1)->authority),
			     SLICE("[2001:db8::1]:8")));
	assert_int_equal(table_endpoint(table, s, 1)->addrs[0].family, AF_INET6);
	assert_true(table_endpoint(table, s, 2)->addrs[0].family == AF_UNIX &&
		    table_endpoint(table, s, 2)->addrs[0].path_len == 6);
	assert_int_equal(table_endpoint(table, s, 3)->n_addrs, 0); /* To be looked up. */
	assert_true(slice_eq(table_text(table, table_endpoint(table, s, 3)->server_name),
			     SLICE("h.test")));
}

static void who_stays_keeps_its_slot(void **state)
{
	uint32_t a, b, c, again;
	uint16_t first;

	(void)state;
	draw_yaml("version: 1\nservices: {a: {endpoints: [{address: x}, {address: y}]}, b: }");
	(void)service_named("a", &a);
	(void)service_named("b", &b);
	first = table_endpoint(table, table_service(table, a), 0)->slot;
	draw_yaml("version: 1\nservices: {c: {endpoints: [{address: x}]}, b: , a: {endpoints: "
		  "[{address: z}, {address: x}]}}");
	assert_non_null(service_named("c", &c));
	assert_non_null(service_named("a", &again));
	assert_int_equal(again, a);
	assert_true(service_named("b", &again) && again == b && c != a && c != b);
	assert_int_equal(table_endpoint(table, table_service(table, a), 1)->slot, first);
	/* The same address of another service is another endpoint. */
	assert_int_not_equal(table_endpoint(table, table_service(table, c), 0)->slot, first);
	draw_yaml("version: 1\nservices: {b: }");
	assert_null(service_named("a", &again));
	assert_true(service_named("b", &again) && again == b);
}

static int decide(const char *method, const char *host, const char *path)
{
	struct verdict v =
		policy_decide(table, &(struct policy_request){ .method = slice_of(method),
							       .host = slice_of(host),
							       .path = slice_of(path),
							       .content_length = 100 });

	assert_int_equal(v.generation, 3);
	return v.kind == VERDICT_FORWARD ? v.route : -(int)v.status;
}

static void routes_decide(void **state)
{
	(void)state;
	draw_yaml("version: 1\nservices: {s: , t: }\nroutes:\n"
		  "- {name: a, service: t, match: {hosts: [a.test], path: /x}}\n"
		  "- {name: b, service: s, match: {hosts: [a.test]}, max_body: 99B}\n"
		  "- {name: c, service: s, match: {path_prefix: /c/, methods: [GET]}}");
	assert_int_equal(decide("GET", "a.test", "/x"), 0);
	assert_int_equal(decide("GET", "a.test", "/x/"), -413);
	assert_int_equal(decide("GET", "b.test", "/c"), 2);
	assert_int_equal(decide("POST", "b.test", "/c"), -405);
	assert_int_equal(decide("GET", "b.test", "/"), -404);
	draw_yaml("version: 1\nenabled: false\nservices: {s: }\nroutes: [{name: c, service: s}]");
	assert_int_equal(decide("GET", "b.test", "/c"), -429);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(endpoints_are_addresses_or_names, forget),
		cmocka_unit_test_teardown(who_stays_keeps_its_slot, forget),
		cmocka_unit_test_teardown(routes_decide, forget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
