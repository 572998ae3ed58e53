/* SPDX-License-Identifier: Apache-2.0 */
/* The access log's line: valid, complete, and as docs/access-log.md says. */
#include "core/proxy/account.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define MS GW_NS_PER_MS

static struct slice set_text(char *to, uint16_t *ret_len, const char *from, size_t len)
{
	memcpy(to, from, len);
	*ret_len = (uint16_t)len;
	return slice_make(to, len);
}

static void fill(struct account_record *r)
{
	*r = (struct account_record){
		.account = {
			.begun_ns = 1000 * MS, .connected_ns = 1001 * MS, .sent_ns = 1003 * MS,
			.first_byte_ns = 1006 * MS, .ended_ns = 1010 * MS + 500000,
			.bytes_in = 1, .bytes_out = 2, .bytes_copied = 3, .bytes_spliced = 4,
			.peer = { .family = AF_INET, .port = 4321, .ip = { 192, 0, 2, 7 } },
			.generation = 5, .status = 502, .upstream_status = 200,
			.reason = REASON_UPSTREAM_RESET, .method = HTTP_POST, .minor = 1,
			.ender = ACCOUNT_BY_UPSTREAM, .phase = ACCOUNT_IN_WAIT, .retries = 6,
			.reused = true, .upstream_tls = 3,
			.upstream_tls_failure = 1 + METRIC_TLS_FAILURE_NAME,
			.tls_cipher = SLICE("TLS_AES_256_GCM_SHA384"),
		},
		.wall_ns = 784111777123456000, .worker = 8,
	};
	set_text(r->text.host, &r->text.host_len, "example.org", 11);
	set_text(r->text.path, &r->text.path_len, "/a", 2);
	set_text(r->text.id, &r->text.id_len, "id-1", 4);
	set_text(r->text.sni, &r->text.sni_len, "Example.org", 11);
	set_text(r->text.route, &r->text.route_len, "users-api", 9);
	set_text(r->text.service, &r->text.service_len, "users", 5);
	set_text(r->text.upstream, &r->text.upstream_len, "10.0.0.1:80", 11);
}

static struct slice format(const struct account_record *r)
{
	static char line[8192];
	struct writer out = writer_make(line, sizeof(line) - 1);

	account_format(r, &out);
	*out.ptr = '\0';
	assert_false(out.overflow);
	assert_true(slice_ends_with(writer_slice(&out), SLICE("}\n")));
	return writer_slice(&out);
}

static json_t *parse(struct slice line)
{
	json_error_t error;
	json_t *object = json_loadb(line.ptr, line.len, JSON_REJECT_DUPLICATES, &error);

	if (!object)
		fail_msg("%s: %.*s", error.text, SLICE_ARG(line));
	return object;
}

static void all_facts_are_told(void **state)
{
	struct account_record r;

	(void)state;
	fill(&r);
	assert_string_equal(
		format(&r).ptr,
		"{\"ts\":\"1994-11-06T08:49:37.123456Z\",\"request_id\":\"id-1\","
		"\"client_ip\":\"192.0.2.7\",\"client_port\":4321,\"http_version\":\"1.1\",\"tls_version\":\"\","
		"\"method\":\"POST\",\"host\":\"example.org\",\"path\":\"/a\",\"status\":502,"
		"\"reason\":\"reset\",\"ended_by\":\"upstream\",\"ended_in\":\"wait\","
		"\"bytes_in\":1,\"bytes_out\":2,\"bytes_copied\":3,\"bytes_spliced\":4,"
		"\"duration_ms\":10.500,\"upstream_connect_ms\":1.000,\"request_ms\":2.000,"
		"\"upstream_ttfb_ms\":5.000,\"ttfb_ms\":6.000,\"response_ms\":4.500,"
		"\"upstream_addr\":\"10.0.0.1:80\",\"upstream_status\":200,"
		"\"upstream_reused\":true,\"retries\":6,\"policy_generation\":5,"
		"\"worker\":8,\"upstream_tls_version\":\"1.3\",\"upstream_tls_failure\":\"name\","
		"\"tls_cipher\":\"TLS_AES_256_GCM_SHA384\",\"tls_sni\":\"Example.org\",\"route\":\"users-api\",\"service\":\"users\",\"limit\":\"\"}\n");
}

static void what_did_not_happen_is_null(void **state)
{
	static const char *const nulls[] = { "upstream_connect_ms", "request_ms",
					     "upstream_ttfb_ms", "ttfb_ms", "response_ms" };
	struct account_record r = { .account = { .begun_ns = MS, .ended_ns = 2 * MS } };
	json_t *line;

	(void)state;
	line = parse(format(&r));
	for (size_t i = 0; i < ARRAY_SIZE(nulls); i++)
		assert_true(json_is_null(json_object_get(line, nulls[i])));
	assert_string_equal(json_string_value(json_object_get(line, "reason")), "");
	assert_string_equal(json_string_value(json_object_get(line, "ended_by")), "none");
	assert_int_equal(json_integer_value(json_object_get(line, "status")), 0);
	json_decref(line);
}

/* The worst that can stand in a text, as long as can be: still one valid line. */
static void any_bytes_make_one_line(void **state)
{
	static const char *const bytes[] = { "\xff", "\"", "\\", "\n", "\x01", "\xe2\x82", "\x7f" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bytes); i++) {
		struct account_record r;
		struct slice line;

		fill(&r);
		for (size_t at = 0; at < ACCOUNT_PATH; at++)
			r.text.path[at] = bytes[i][at % strlen(bytes[i])];
		r.text.path_len = ACCOUNT_PATH;
		memcpy(r.text.host, r.text.path, ACCOUNT_HOST);
		r.text.host_len = ACCOUNT_HOST;
		line = format(&r);
		assert_int_equal(slice_find(line, '\n'), line.len - 1);
		json_decref(parse(line));
	}
}

/* The type that a page's row tells. */
static bool is_of_type(const json_t *value, struct slice type)
{
	if (slice_eq(type, SLICE("text")))
		return json_is_string(value);
	if (slice_eq(type, SLICE("number")))
		return json_is_number(value);
	if (slice_eq(type, SLICE("number or null")))
		return json_is_number(value) || json_is_null(value);
	return slice_eq(type, SLICE("true or false")) && json_is_boolean(value);
}

static size_t read_page(char *page, size_t size)
{
	const char *root = getenv("GW_SOURCE_DIR");
	char path[4096];
	FILE *file;
	size_t len;

	(void)snprintf(path, sizeof(path), "%s/docs/access-log.md", root ? root : ".");
	file = fopen(path, "r");
	if (!file)
		fail_msg("%s is missing", path);
	len = fread(page, 1, size, file);
	assert_int_equal(fclose(file), 0);
	assert_true(len < size);
	return len;
}

/* "| `key` | type | ..." */
static bool take_row(struct slice *page, struct slice *ret_key, struct slice *ret_type)
{
	struct slice line, rest;

	do {
		if (page->len == 0)
			return false;
		slice_split(*page, '\n', &line, page);
	} while (!slice_starts_with(line, SLICE("| `")));
	slice_split(slice_drop(line, 3), '`', ret_key, &rest);
	slice_split(slice_drop(rest, 3), '|', ret_type, &rest);
	*ret_type = slice_trim(*ret_type);
	return true;
}

static void the_page_tells_every_key_in_order(void **state)
{
	static char text[1 << 16];
	struct slice page = slice_make(text, read_page(text, sizeof(text))), key, type;
	struct account_record r;
	json_t *line, *value;
	void *at;

	(void)state;
	fill(&r);
	line = parse(format(&r));
	for (at = json_object_iter(line); at; at = json_object_iter_next(line, at)) {
		value = json_object_iter_value(at);
		if (!take_row(&page, &key, &type))
			fail_msg("%s is not in the page", json_object_iter_key(at));
		if (!slice_eq(key, slice_of(json_object_iter_key(at))) || !is_of_type(value, type))
			fail_msg("%s: the page says %.*s, %.*s", json_object_iter_key(at),
				 SLICE_ARG(key), SLICE_ARG(type));
	}
	assert_false(take_row(&page, &key, &type));
	json_decref(line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_facts_are_told),
		cmocka_unit_test(what_did_not_happen_is_null),
		cmocka_unit_test(any_bytes_make_one_line),
		cmocka_unit_test(the_page_tells_every_key_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
