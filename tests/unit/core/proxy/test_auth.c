/* SPDX-License-Identifier: Apache-2.0 */
/* Whom a route lets in by certificate; the rest of it is asked end to end: tests/e2e/test_auth.py. */
#include "core/proxy/auth.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "policy/compile.h"

#define SHA(c_) c_ c_ c_ c_ c_ c_ c_ c_ c_ c_ c_ c_ c_ c_ c_ c_
#define SHA_A   SHA("aaaa")
#define SHA_B   SHA("bbbb")

static const struct slice digests[] = { SLICE_INIT(SHA_A) };
static const struct slice subjects[] = { SLICE_INIT("CN=a") };
static const struct slice sans[] = { SLICE_INIT("dns:a.test"), SLICE_INIT("email:a@b.test"),
				     SLICE_INIT("uri:spiffe://t/a"),
				     SLICE_INIT("uri:spiffe://t/a/b") };

/* One route, for whoever is in these lists. */
static struct policy_table *table_of(struct draft_texts d, struct draft_texts s,
				     struct draft_texts n)
{
	struct draft_auth auth = { .name = SLICE_INIT("mesh"),
				   .by = POLICY_BY_CERTIFICATE,
				   .certificates = d,
				   .subjects = s,
				   .sans = n };
	struct draft_service service = { .name = SLICE_INIT("s") };
	struct draft_route route = { .name = SLICE_INIT("r"),
				     .match = { .path = SLICE_INIT("/") },
				     .auth = 1 };
	struct policy_draft draft = { .generation = 1,
				      .edition = 1,
				      .enabled = true,
				      .services = &service,
				      .n_services = 1,
				      .routes = &route,
				      .n_routes = 1,
				      .auths = &auth,
				      .n_auths = 1 };
	struct policy_table *table = NULL;

	assert_int_equal(policy_compile(&draft, &table), 0);
	table_check(table);
	return table;
}

static struct policy_table *all_lists(void)
{
	return table_of((struct draft_texts){ digests, ARRAY_SIZE(digests) },
			(struct draft_texts){ subjects, ARRAY_SIZE(subjects) },
			(struct draft_texts){ sans, ARRAY_SIZE(sans) });
}

static struct tls_identity identity_of(const char *sha256, const char *subject, const char *names)
{
	struct tls_identity id = { .subject_len = (uint8_t)strlen(subject),
				   .sans = slice_of(names) };

	memcpy(id.sha256, sha256, sizeof(id.sha256));
	memcpy(id.subject, subject, id.subject_len);
	return id;
}

static bool is_let_in(const struct policy_table *table, const struct tls_identity *id,
		      struct auth_client *client)
{
	static struct auth scratch;
	const struct auth_request request = { .table = table,
					      .route = table_route(table, 0),
					      .identity = id };
	enum reason reason = auth_look(&scratch, NULL, &request, client);

	assert_true(reason == REASON_NONE || reason == REASON_CLIENT_IDENTITY);
	return reason == REASON_NONE;
}

static const struct {
	const char *sha256, *subject, *sans;
	bool let_in;
	const char *told; /* The name. */
} rows[] = {
	{ SHA_B, "CN=b", "", false, "" },
	{ SHA_A, "CN=b", "", true, "" },
	{ SHA_B, "CN=a", "", true, "" },
	{ SHA_B, "CN=a ", "", false, "" },
	{ SHA_B, "", "", false, "" },
	{ SHA_B, "CN=b", "dns:a.test", true, "dns:a.test" },
	{ SHA_B, "CN=b", "uri:spiffe://t/a", true, "uri:spiffe://t/a" },
	{ SHA_B, "CN=b", "uri:spiffe://t/a/b", true, "uri:spiffe://t/a/b" },
	{ SHA_B, "CN=b", "email:a@b.test", true, "email:a@b.test" },
	/* Whole names, of the kind that is said. */
	{ SHA_B, "CN=b", "uri:spiffe://t/a/", false, "" },
	{ SHA_B, "CN=b", "uri:spiffe://t/A", false, "" },
	{ SHA_B, "CN=b", "uri:spiffe://t", false, "" },
	{ SHA_B, "CN=b", "dns:x.a.test", false, "" },
	{ SHA_B, "CN=b", "dns:*.test", false, "" },
	{ SHA_B, "CN=b", "uri:dns:a.test email:dns:a.test", false, "" },
	{ SHA_B, "CN=b", "dns:a.tes dns:a.testx", false, "" },
	/* The first of the certificate's; also where something else would do. */
	{ SHA_B, "CN=b", "dns:x uri:spiffe://t/a dns:a.test", true, "uri:spiffe://t/a" },
	{ SHA_A, "CN=a", "dns:x dns:a.test", true, "dns:a.test" },
	{ SHA_A, "CN=a", "dns:x", true, "" },
};

static void one_of_the_lists_will_do(void **state)
{
	struct policy_table *table = all_lists();
	struct auth_client client;

	(void)state;
	assert_false(is_let_in(table, NULL, &client));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct tls_identity id = identity_of(rows[i].sha256, rows[i].subject, rows[i].sans);

		if (is_let_in(table, &id, &client) != rows[i].let_in)
			fail_msg("row %zu is judged wrongly", i);
		if (!slice_eq(client.san, slice_of(rows[i].told)))
			fail_msg("row %zu: told '%.*s'", i, SLICE_ARG(client.san));
	}
	free(table);
}

/* Nothing that is empty is like what is empty. */
static void an_empty_list_lets_nobody_in(void **state)
{
	struct tls_identity id = identity_of(SHA_A, "CN=a", "dns:a.test");
	struct tls_identity nobody = identity_of(SHA_B, "", "");
	const struct draft_texts none = { 0 };
	struct policy_table *tables[] = {
		table_of((struct draft_texts){ digests, 1 }, none, none),
		table_of(none, (struct draft_texts){ subjects, 1 }, none),
		table_of(none, none, (struct draft_texts){ sans, 1 }),
	};
	struct auth_client client;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tables); i++) {
		assert_true(is_let_in(tables[i], &id, &client));
		assert_int_equal(client.san.len > 0, i == 2);
		assert_false(is_let_in(tables[i], &nobody, &client));
		free(tables[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_of_the_lists_will_do),
		cmocka_unit_test(an_empty_list_lets_nobody_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
