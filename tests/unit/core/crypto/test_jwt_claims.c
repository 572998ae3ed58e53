/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/crypto/jwt_claims.c"

static struct jwt jwt;

/* As jwt_verify() leaves it. */
static void say(const char *payload)
{
	struct slice text = slice_of(payload);

	assert_true(text.len <= sizeof(jwt.bytes));
	memcpy(jwt.bytes, text.ptr, text.len);
	jwt.claims = (struct jws_json){ .members = jwt.members, .size = JWT_CLAIMS_MAX };
	assert_int_equal(jws_json_read(&jwt.claims, slice_make(jwt.bytes, text.len)), 0);
}

static void claims_become_fields(void **state)
{
	static const struct {
		const char *payload;
		int want;
		const char *value;
	} cases[] = {
		{ "{\"a\":\"x\"}", 0, "x" },
		{ "{\"a\":\"\"}", 0, "" },
		{ "{\"a\":\"M\\u00fcller, J\"}", 0, "M\xc3\xbcller, J" },
		{ "{\"a\":-12.50}", 0, "-12.50" },
		{ "{\"a\":true}", 0, "true" },
		{ "{\"a\":false}", 0, "false" },
		{ "{\"a\":[\"x\",\"y z\"]}", 0, "x,y z" },
		{ "{\"a\":[\"x\"]}", 0, "x" },
		{ "{\"a\":[]}", 0, "" },
		{ "{\"b\":1}", -ENOENT, NULL },
		{ "{\"b\":{\"a\":1}}", -ENOENT, NULL },
		{ "{\"a\":null}", -EINVAL, NULL },
		{ "{\"a\":{}}", -EINVAL, NULL },
		{ "{\"a\":[1]}", -EINVAL, NULL },
		{ "{\"a\":[\"x\",[\"y\"]]}", -EINVAL, NULL },
		{ "{\"a\":[null,\"x\"]}", -EINVAL, NULL },
		{ "{\"a\":\"x\\r\\nX-Admin: 1\"}", -EINVAL, NULL },
		{ "{\"a\":\"x\\n\"}", -EINVAL, NULL },
		{ "{\"a\":\"\\u0000\"}", -EINVAL, NULL },
		{ "{\"a\":\"x\\ty\"}", -EINVAL, NULL },
		{ "{\"a\":\"x\\u007f\"}", -EINVAL, NULL },
		{ "{\"a\":\" x\"}", -EINVAL, NULL },
		{ "{\"a\":\"x \"}", -EINVAL, NULL },
		{ "{\"a\":[\"x,y\"]}", -EINVAL, NULL },
		{ "{\"a\":[\"x\",\"y\\r\"]}", -EINVAL, NULL },
		{ "{\"a\":[\"x\\n\",\"y\"]}", -EINVAL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char room[64] = "<";
		struct writer w = writer_make(room, sizeof(room));
		int r;

		writer_char(&w, ' '); /* What is there already is not judged. */
		say(cases[i].payload);
		r = jwt_put_claim(&w, &jwt, SLICE("a"));
		if (r != cases[i].want)
			fail_msg("%s: %d", cases[i].payload, r);
		if (r == 0 && !slice_eq(slice_drop(writer_slice(&w), 1), slice_of(cases[i].value)))
			fail_msg("%s: '%.*s'", cases[i].payload, SLICE_ARG(writer_slice(&w)));
	}
}

static void too_little_room_is_marked(void **state)
{
	char room[4];
	struct writer w = writer_make(room, sizeof(room));

	(void)state;
	say("{\"a\":\"12345\",\"b\":[\"123\",\"4\"],\"c\":\"\\u0031\\u00322345\"}");
	assert_int_equal(jwt_put_claim(&w, &jwt, SLICE("a")), 0);
	assert_true(w.overflow);
	w = writer_make(room, sizeof(room));
	assert_int_equal(jwt_put_claim(&w, &jwt, SLICE("b")), 0);
	assert_true(w.overflow);
	w = writer_make(room, sizeof(room));
	assert_int_equal(jwt_put_claim(&w, &jwt, SLICE("c")), 0);
	assert_true(w.overflow);
}

/* J25 */
static void scopes_are_found(void **state)
{
	static const struct {
		const char *payload;
		bool want;
	} cases[] = {
		{ "{\"scope\":\"orders:read orders:write\"}", true },
		{ "{\"scope\":\"openid orders:read\"}", true },
		{ "{\"scope\":\"openid orders\\u003aread\"}", true },
		{ "{\"scope\":[\"openid\",\"orders:read\"]}", true },
		{ "{\"scp\":[\"orders:read\"]}", true },
		{ "{\"scp\":\"openid orders:read\"}", true },
		{ "{\"scopes\":[\"openid\",\"orders\\u003aread\"]}", true },
		{ "{\"scope\":\"openid\",\"scp\":[\"orders:read\"]}", true },
		{ "{}", false },
		{ "{\"scope\":\"\"}", false },
		{ "{\"scope\":\"orders:readonly\"}", false },
		{ "{\"scope\":\"all-orders:read\"}", false },
		{ "{\"scope\":\"orders: read\"}", false },
		{ "{\"scope\":\"ORDERS:READ\"}", false },
		{ "{\"scope\":\"orders:read,openid\"}", false },
		{ "{\"scope\":{\"orders:read\":true}}", false },
		{ "{\"scp\":[\"openid orders:read\"]}", false },
		{ "{\"scp\":[[\"orders:read\"]]}", false },
		{ "{\"scp\":[]}", false },
		{ "{\"scp\":[\"\"]}", false },
		{ "{\"x\":{\"scope\":\"orders:read\"}}", false },
		{ "{\"roles\":[\"orders:read\"]}", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		say(cases[i].payload);
		if (jwt_has_scope(&jwt, SLICE("orders:read")) != cases[i].want)
			fail_msg("%s", cases[i].payload);
		assert_false(jwt_has_scope(&jwt, SLICE("")));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(claims_become_fields),
		cmocka_unit_test(too_little_room_is_marked),
		cmocka_unit_test(scopes_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
