/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that must be refused, each with its exact message; defaults, overrides, reload; and that
 * the pages in docs/ are those that the schema makes.
 */
#include "core/server/config.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/crypto/tls_credentials.h"
#include "core/document/page.h"

#define ANY_TIME "allowed: 10ms to 1h"
#define ADDRESS                                                                                    \
	"allowed: an address such as \"127.0.0.1:8080\", \"[::1]:8080\", \":8080\" or "            \
	"\"unix:/path\""
#define NET "allowed: a network such as \"10.0.0.0/8\" or \"fd00::/8\", or one address"

static const char *file_path(void)
{
	static char path[64];

	(void)snprintf(path, sizeof(path), "/tmp/sluice-test-%d.yaml", (int)getpid());
	return path;
}

static const char *write_file(const char *text)
{
	FILE *file = fopen(file_path(), "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
	return file_path();
}

static int remove_file(void **state)
{
	(void)state;
	(void)unlink(file_path()); /* Not every test wrote it. */
	return 0;
}

static struct config *load(const char *text)
{
	static struct report rep;
	struct config *config;

	report_init(&rep, NULL);
	if (config_load(text ? write_file(text) : NULL, NULL, 0, &rep, &config) < 0) {
		report_print(&rep, stderr);
		fail_msg("refused");
	}
	return config;
}

/* All error lines, joined by "; ", with the file's name as "f". */
static const char *refusal_with(const char *text, const struct config_override *over, uint32_t n)
{
	static struct report rep;
	static char all[16384];
	struct config *config;
	struct writer w = writer_make(all, sizeof(all) - 1);
	const char *path = text ? write_file(text) : NULL;

	report_init(&rep, NULL);
	if (config_load(path, over, n, &rep, &config) == 0) {
		config_free(config);
		return "taken";
	}
	for (uint32_t i = 0; i < rep.n; i++) {
		char line[1024];
		size_t skip = 0;

		(void)report_format(&rep, i, line, sizeof(line));
		if (i)
			writer_lit(&w, "; ");
		if (path && strncmp(line, path, strlen(path)) == 0) {
			skip = strlen(path);
			writer_char(&w, 'f');
		}
		writer_put(&w, slice_of(line + skip));
	}
	*w.ptr = '\0';
	return all;
}

#define CERTIFICATE(more)                                                                          \
	"listeners: [{address: \":80\", tls: {certificates: [{cert: /a, key: /b, " more "}]}}]\n"

static const struct {
	const char *yaml, *error;
} broken[] = {
	/* Keys. */
	{ "limitz: {}\n", "f:1:1: unknown key \"limitz\"; did you mean \"limits\"?" },
	{ "zzz: 1\n",
	  "f:1:1: unknown key \"zzz\"; known here: listeners, workers, admin, control, "
	  "policy, state, limits, timeouts, pool, upstream_tls, access_log, allowed_hosts, upgrades, health_path, splice" },
	{ "limits: {head_byte: 1KiB}\n",
	  "f:1:10: limits: unknown key \"head_byte\"; did you mean \"head_bytes\"?" },
	{ "limits:\n  conections: 5\n",
	  "f:2:3: limits: unknown key \"conections\"; did you mean \"connections\"?" },
	{ "listeners:\n  - adress: \"127.0.0.1:0\"\n",
	  "f:2:5: listeners[0]: unknown key \"adress\"; did you mean \"address\"?; "
	  "f:2:5: listeners[0]: the key \"address\" is missing; it needs an address such as "
	  "\"127.0.0.1:8080\", \"[::1]:8080\", \":8080\" or \"unix:/path\"" },
	{ "listeners: [{address: \":80\", policy: {}}]\n",
	  "f:1:30: listeners[0]: unknown key \"policy\"; known here: address, protocols, "
	  "trusted_proxies, tls" },
	{ "listeners: [{address: \":80\", tls: {certificates: [{cert: /a}]}}]\n",
	  "f:1:51: listeners[0].tls.certificates[0]: the key \"key\" is missing; it needs an "
	  "absolute path" },
	{ CERTIFICATE("names: [a.test, \"*a.test\"]"),
	  "f:1:87: listeners[0].tls.certificates[0].names[1]: \"*a.test\" is not allowed; allowed: "
	  "a host name, or \"*.\" and a host name" },
	{ CERTIFICATE("names: [192.0.2.1]"),
	  "f:1:79: listeners[0].tls.certificates[0].names[0]: \"192.0.2.1\" is not allowed; allowed: "
	  "a host name, or \"*.\" and a host name" },
	{ CERTIFICATE("client_auth: maybe"),
	  "f:1:84: listeners[0].tls.certificates[0].client_auth: \"maybe\" is not allowed; allowed: "
	  "inherit, required, optional or off" },
	{ CERTIFICATE("client_auth: required"),
	  "f: listeners[0].tls.certificates[0].client_auth: asks for certificates that nobody vouches "
	  "for: client_ca is needed, here or in tls" },
	{ CERTIFICATE("client_ca: /c, client_auth: off"),
	  "f: listeners[0].tls.certificates[0].client_auth: \"off\" does not ask whom client_ca "
	  "vouches for: one of both" },
	{ "listeners: [{address: \":80\", tls: {min_version: 1.2}}]\n",
	  "f:1:49: listeners[0].tls.min_version: a number with a fraction is of the wrong type; "
	  "allowed: \"1.2\" or \"1.3\"" },
	{ "workers: 1\nworkers: 2\n",
	  "f:2:1: the key \"workers\" is there twice, first in line 1" },
	{ "limits: {head_fields: 10, head_fields: 20}\n",
	  "f:1:27: limits: the key \"head_fields\" is there twice, first in line 1" },
	/* Numbers. */
	{ "workers: 0\n", "f:1:10: workers: 0 is too small; allowed: auto, or 1 to 256" },
	{ "workers: 257\n", "f:1:10: workers: 257 is too large; allowed: auto, or 1 to 256" },
	{ "workers: -1\n", "f:1:10: workers: -1 is too small; allowed: auto, or 1 to 256" },
	{ "workers: atuo\n",
	  "f:1:10: workers: \"atuo\" is not allowed; did you mean \"auto\"? allowed: auto, or 1 to "
	  "256" },
	{ "workers: many\n",
	  "f:1:10: workers: \"many\" is not allowed; allowed: auto, or 1 to 256" },
	{ "workers: \"4\"\n", "f:1:10: workers: \"4\" is not allowed; allowed: auto, or 1 to 256" },
	{ "workers: 1.5\n", "f:1:10: workers: a number with a fraction is of the wrong type; "
			    "allowed: auto, or 1 to 256" },
	{ "workers: true\n",
	  "f:1:10: workers: true or false is of the wrong type; allowed: auto, or 1 to 256" },
	{ "workers: [1]\n",
	  "f:1:10: workers: a list is of the wrong type; allowed: auto, or 1 to 256" },
	{ "workers: 99999999999999999999\n",
	  "f:1:10: workers: \"99999999999999999999\" does not fit in 64 bits" },
	{ "limits: {head_fields: many}\n",
	  "f:1:23: limits.head_fields: \"many\" is of the wrong type; allowed: 8 to 128" },
	{ "limits: {head_fields: 7}\n",
	  "f:1:23: limits.head_fields: 7 is too small; allowed: 8 to 128" },
	{ "limits: {per_client: no}\n",
	  "f:1:22: limits.per_client: \"no\" is not allowed; allowed: off, or 1 to 1000000" },
	{ "access_log: {sample: 0}\n",
	  "f:1:22: access_log.sample: 0 is too small; allowed: 1 to 1000000" },
	/* Spans. */
	{ "timeouts: {head: 10}\n", "f:1:18: timeouts.head: 10 has no unit; allowed: 10ms to 10m" },
	{ "timeouts: {head: \"10\"}\n",
	  "f:1:18: timeouts.head: \"10\" has no unit; allowed: 10ms to 10m" },
	{ "timeouts: {head: 10x}\n",
	  "f:1:18: timeouts.head: \"10x\" is not allowed; allowed: 10ms to 10m" },
	{ "timeouts:\n  head: 11m\n",
	  "f:2:9: timeouts.head: \"11m\" is too large; allowed: 10ms to 10m" },
	{ "timeouts: {head: 9ms}\n",
	  "f:1:18: timeouts.head: \"9ms\" is too small; allowed: 10ms to 10m" },
	{ "timeouts: {head: -1s}\n",
	  "f:1:18: timeouts.head: \"-1s\" is not allowed; allowed: 10ms to 10m" },
	{ "timeouts: {head: -1}\n",
	  "f:1:18: timeouts.head: -1 is too small; allowed: 10ms to 10m" },
	{ "timeouts: {keepalive: 99999999999999999999h}\n",
	  "f:1:23: timeouts.keepalive: \"99999999999999999999h\" is too large; " ANY_TIME },
	{ "timeouts: {keepalive: yes}\n",
	  "f:1:23: timeouts.keepalive: \"yes\" is not allowed; " ANY_TIME },
	{ "timeouts: {write_stall: {a: 1}}\n",
	  "f:1:25: timeouts.write_stall: a map is of the wrong type; " ANY_TIME },
	{ "upgrades: [websocket, h2c]\n",
	  "f:1:23: upgrades[1]: \"h2c\" is not allowed; allowed: none or websocket" },
	{ "timeouts: {drain: off}\n",
	  "f:1:19: timeouts.drain: \"off\" is not allowed; allowed: 0s to 24h" },
	/* Sizes. */
	{ "limits: {head_bytes: 10}\n",
	  "f:1:22: limits.head_bytes: 10 has no unit; allowed: 1KiB to 60KiB" },
	{ "limits: {head_bytes: 10GiB}\n",
	  "f:1:22: limits.head_bytes: \"10GiB\" is too large; allowed: 1KiB to 60KiB" },
	{ "limits: {head_bytes: 32KB}\n",
	  "f:1:22: limits.head_bytes: \"32KB\" is not allowed; allowed: 1KiB to 60KiB" },
	{ "splice: {min: 1B}\n", "f:1:15: splice.min: \"1B\" is too small; allowed: 1KiB to 1GiB" },
	/* Booleans. */
	{ "splice: {enabled: yes}\n",
	  "f:1:19: splice.enabled: \"yes\" is of the wrong type; allowed: true or false" },
	{ "splice: {enabled: 1}\n",
	  "f:1:19: splice.enabled: 1 is of the wrong type; allowed: true or false" },
	/* Texts. */
	{ "listeners: [{address: nowhere}]\n",
	  "f:1:23: listeners[0].address: \"nowhere\" is not allowed; " ADDRESS },
	{ "listeners: [{address: \"127.0.0.1:70000\"}]\n",
	  "f:1:23: listeners[0].address: \"127.0.0.1:70000\" is not allowed; " ADDRESS },
	{ "listeners: [{address: 8080}]\n",
	  "f:1:23: listeners[0].address: 8080 is of the wrong type; " ADDRESS },
	{ "listeners: [{address: \"\"}]\n",
	  "f:1:23: listeners[0].address: \"\" is empty; " ADDRESS },
	{ "admin: {address: \"localhost:9901\"}\n",
	  "f:1:18: admin.address: \"localhost:9901\" is not allowed; allowed: off, or an address "
	  "such as \"127.0.0.1:8080\", \"[::1]:8080\", \":8080\" or \"unix:/path\"" },
	{ "admin: {address: of}\n",
	  "f:1:18: admin.address: \"of\" is not allowed; did you mean \"off\"? allowed: off, or an "
	  "address such as \"127.0.0.1:8080\", \"[::1]:8080\", \":8080\" or \"unix:/path\"" },
	{ "control: {path: run/c.sock}\n",
	  "f:1:17: control.path: \"run/c.sock\" is not allowed; allowed: auto, off, or an absolute "
	  "path of at most 107 bytes" },
	{ "control: {group: \"a b\"}\n",
	  "f:1:18: control.group: \"a b\" is not allowed; allowed: off, or the name of a group" },
	{ "access_log: {path: stdotu}\n",
	  "f:1:20: access_log.path: \"stdotu\" is not allowed; did you mean \"stdout\"? allowed: "
	  "off, stdout, or an absolute path" },
	{ "access_log: {path: \"/a\\tb\"}\n",
	  "f:1:20: access_log.path: \"/a?b\" has control characters; allowed: off, stdout, or an "
	  "absolute path" },
	{ "health_path: health\n",
	  "f:1:14: health_path: \"health\" is not allowed; allowed: off, or a path that begins with "
	  "\"/\"" },
	{ "allowed_hosts: [\"a.example:80\"]\n",
	  "f:1:17: allowed_hosts[0]: \"a.example:80\" is not allowed; allowed: a host name, an IP "
	  "address, or \"*.\" and a host name" },
	{ "allowed_hosts: [ok.example, \"*\"]\n",
	  "f:1:29: allowed_hosts[1]: \"*\" is not allowed; allowed: a host name, an IP address, or "
	  "\"*.\" and a host name" },
	/* Networks and words. */
	{ "listeners: [{address: \":80\", trusted_proxies: [\"10.0.0.0/99\"]}]\n",
	  "f:1:48: listeners[0].trusted_proxies[0]: \"10.0.0.0/99\" is not a network; " NET },
	{ "listeners: [{address: \":80\", trusted_proxies: [\"10.0.0.1/8\"]}]\n",
	  "f:1:48: listeners[0].trusted_proxies[0]: \"10.0.0.1/8\" has bits set behind its prefix; " NET },
	{ "listeners: [{address: \":80\", protocols: [h3, http/1.1]}]\n",
	  "f:1:42: listeners[0].protocols[0]: \"h3\" is not allowed; allowed: h2 or http/1.1" },
	{ "listeners: [{address: \":80\", protocols: [http/1]}]\n",
	  "f:1:42: listeners[0].protocols[0]: \"http/1\" is not allowed; did you mean "
	  "\"http/1.1\"? allowed: h2 or http/1.1" },
	{ "listeners: [{address: \":80\", protocols: []}]\n",
	  "f:1:41: listeners[0].protocols: names nothing" },
	/* Shapes. */
	{ "hello\n", "f:1:1: \"hello\" is of the wrong type; allowed: a map" },
	{ "[]\n", "f:1:1: a list is of the wrong type; allowed: a map" },
	{ "limits: [1, 2]\n", "f:1:9: limits: a list is of the wrong type; allowed: a map" },
	{ "listeners: {a: b}\n",
	  "f:1:12: listeners: a map is of the wrong type; allowed: a list of up to 64" },
	{ "listeners: [null]\n",
	  "f:1:13: listeners[0]: null is of the wrong type; allowed: a map" },
	{ "listeners: [{address: [\":80\"]}]\n",
	  "f:1:23: listeners[0].address: a list is of the wrong type; " ADDRESS },
	{ "limits: &a {head_fields: 10}\n", "f:1:9: limits: anchors (&) are not allowed" },
	{ "limits: *a\n", "f:1:9: limits: aliases (*) are not allowed" },
	{ "limits: !x {}\n", "f:1:9: limits: tags (!) are not allowed" },
	{ "limits: {}\n---\nlimits: {}\n", "f:2:1: only one document is allowed in a file" },
	/* The whole. */
	{ "listeners: [{address: \":80\"}, {address: \":80\"}]\n",
	  "f: listeners[1].address: \":80\" is also the address of listeners[0]" },
	{ "listeners: [{address: \"127.0.0.1:9901\"}]\n",
	  "f: listeners[0].address: \"127.0.0.1:9901\" is also the address of admin" },
	{ "upstream_tls: {cert: /a.pem}\n",
	  "f: upstream_tls: cert and key are one pair: both or neither" },
	{ "upstream_tls: {ca: ca.pem}\n",
	  "f:1:20: upstream_tls.ca: \"ca.pem\" is not allowed; allowed: system, or an absolute path" },
	{ "upstream_tls: {server_name: \"*.a\"}\n",
	  "f:1:29: upstream_tls.server_name: \"*.a\" is not allowed; allowed: off, or a host name or "
	  "an IP address" },
	/* Several at once, in the order of the schema. */
	{ "timeouts: {head: 1, drain: 2}\nworkers: x\nfoo: 1\n",
	  "f:3:1: unknown key \"foo\"; known here: listeners, workers, admin, control, policy, state, limits, "
	  "timeouts, pool, upstream_tls, access_log, allowed_hosts, upgrades, health_path, splice; "
	  "f:2:10: workers: \"x\" is not allowed; allowed: auto, or 1 to 256; "
	  "f:1:18: timeouts.head: 1 has no unit; allowed: 10ms to 10m; "
	  "f:1:28: timeouts.drain: 2 has no unit; allowed: 0s to 24h" },
};

static void broken_files_are_refused(void **state)
{
	uint32_t n_wrong = 0;

	(void)state;
	assert_true(ARRAY_SIZE(broken) >= 60);
	for (size_t i = 0; i < ARRAY_SIZE(broken); i++) {
		const char *got = refusal_with(broken[i].yaml, NULL, 0);

		if (strcmp(got, broken[i].error) == 0)
			continue;
		print_error("%sgot:  %s\nwant: %s\n", broken[i].yaml, got, broken[i].error);
		n_wrong++;
	}
	assert_int_equal(n_wrong, 0);
}

static void only_the_first_errors_are_kept(void **state)
{
	static struct report rep;
	struct config *config;
	char text[2048];
	struct writer w = writer_make(text, sizeof(text) - 1);

	(void)state;
	for (uint64_t i = 0; i < 30; i++) {
		writer_char(&w, 'k');
		writer_u64(&w, i);
		writer_lit(&w, ": 1\n");
	}
	*w.ptr = '\0';
	report_init(&rep, NULL);
	assert_int_equal(config_load(write_file(text), NULL, 0, &rep, &config), -EINVAL);
	assert_int_equal(rep.n, REPORT_ERRORS_MAX);
	assert_int_equal(rep.n_all, 30);
}

static void files_must_be_readable(void **state)
{
	static struct report rep;
	struct config *config;
	char line[1024];

	(void)state;
	report_init(&rep, NULL);
	assert_int_equal(config_load("/nonexistent/s.yaml", NULL, 0, &rep, &config), -EINVAL);
	(void)report_format(&rep, 0, line, sizeof(line));
	assert_string_equal(line, "/nonexistent/s.yaml: cannot be read: No such file or directory");
	report_init(&rep, NULL);
	assert_int_equal(config_load("/tmp", NULL, 0, &rep, &config), -EINVAL);
	(void)report_format(&rep, 0, line, sizeof(line));
	assert_string_equal(line, "/tmp: cannot be read: Is a directory");
}

static void presets_are_those_of_the_design(void **state)
{
	const uint64_t s = 1000000000;
	struct config *c = load(NULL);

	(void)state;
	assert_int_equal(c->n_listeners, 1);
	assert_true(slice_eq(c->listeners[0].address, SLICE("127.0.0.1:8080")));
	assert_int_equal(c->listeners[0].protocols, CONFIG_HTTP1);
	assert_int_equal(c->listeners[0].n_trusted_proxies, 0);
	assert_int_equal(c->workers, 0);
	assert_true(slice_eq(c->admin.address, SLICE("127.0.0.1:9901")));
	assert_true(slice_eq(c->control.path, SLICE("auto")));
	assert_int_equal(c->control.group.len, 0);
	assert_int_equal(c->limits.connections, 0);
	assert_int_equal(c->limits.per_client, 0);
	assert_int_equal(c->limits.head_bytes, 32768);
	assert_int_equal(c->limits.head_fields, 100);
	assert_int_equal(c->timeouts.head_ns, 10 * s);
	assert_int_equal(c->timeouts.keepalive_ns, 60 * s);
	assert_int_equal(c->timeouts.body_idle_ns, 15 * s);
	assert_int_equal(c->timeouts.write_stall_ns, 30 * s);
	assert_int_equal(c->timeouts.connect_ns, 2 * s);
	assert_int_equal(c->timeouts.response_head_ns, 15 * s);
	assert_int_equal(c->timeouts.tunnel_idle_ns, 3600 * s);
	assert_int_equal(c->timeouts.tunnel_grace_ns, 15 * s);
	assert_int_equal(c->upgrades, 0);
	assert_int_equal(c->timeouts.drain_grace_ns, 0);
	assert_int_equal(c->timeouts.drain_ns, 30 * s);
	assert_int_equal(c->access_log.path.len, 0);
	assert_int_equal(c->access_log.sample, 1);
	assert_int_equal(c->n_allowed_hosts, 0);
	assert_true(slice_eq(c->health_path, SLICE("/health")));
	assert_true(c->splice.enabled);
	assert_int_equal(c->n_upstreams, 0);
	config_free(c);
}

static const char full[] =
	"listeners:\n"
	"  - address: \"0.0.0.0:80\"\n"
	"    trusted_proxies: [\"10.0.0.0/8\", \"::1\"]\n"
	"  - {address: \"unix:/run/s.sock\", protocols: [http/1.1]}\n"
	"  - address: \":443\"\n"
	"    tls:\n"
	"      client_ca: /c\n"
	"      certificates:\n"
	"      - {cert: /a, key: /b}\n"
	"      - {cert: /a, key: /b, names: [a.test, \"*.b.test\"], client_auth: off}\n"
	"      - {cert: /d, key: /e, client_ca: /f, client_auth: optional}\n"
	"workers: 3\n"
	"admin: {address: off}\n"
	"control: {path: off, group: adm}\n"
	"limits: {connections: 5000, per_client: 256, head_bytes: 16KiB, "
	"head_fields: 50}\n"
	"timeouts: {head: 1m30s, drain_grace: 5s}\n"
	"pool: {max_requests: off}\n"
	"access_log: {path: /var/log/a.log, sample: 10}\n"
	"allowed_hosts: [API.example.com, \"*.Example.org\"]\n"
	"health_path: off\n"
	"splice: {enabled: false, min: 64KiB}\n";

static void check_certificates(const struct config_tls *tls)
{
	const struct config_certificate *list = tls->certificates;

	assert_int_equal(tls->n_certificates, 3);
	assert_true(slice_eq(tls->client_ca, SLICE("/c")));
	assert_int_equal(list[0].n_names, 0);
	assert_int_equal(list[0].client_ca.len, 0);
	assert_int_equal(list[0].client_auth, CONFIG_CLIENT_AUTH_INHERIT);
	assert_int_equal(list[1].n_names, 2);
	assert_true(slice_eq(list[1].names[1], SLICE("*.b.test")));
	assert_int_equal(list[1].client_auth, TLS_CLIENT_NONE);
	assert_true(slice_eq(list[2].client_ca, SLICE("/f")));
	assert_int_equal(list[2].client_auth, TLS_CLIENT_OPTIONAL);
}

static void values_are_taken(void **state)
{
	struct config *c = load(full);

	(void)state;
	assert_int_equal(c->n_listeners, 3);
	assert_int_equal(c->listeners[0].n_trusted_proxies, 2);
	assert_int_equal(c->listeners[0].trusted_proxies[0].bits, 8);
	assert_int_equal(c->listeners[0].trusted_proxies[1].bits, 128);
	assert_true(slice_eq(c->listeners[1].address, SLICE("unix:/run/s.sock")));
	check_certificates(&c->listeners[2].tls);
	assert_int_equal(c->workers, 3);
	assert_int_equal(c->admin.address.len, 0);
	assert_int_equal(c->control.path.len, 0);
	assert_true(slice_eq(c->control.group, SLICE("adm")));
	assert_int_equal(c->limits.connections, 5000);
	assert_int_equal(c->timeouts.head_ns, 90000000000);
	assert_int_equal(c->pool.max_requests, 0);
	assert_true(slice_eq(c->access_log.path, SLICE("/var/log/a.log")));
	assert_true(slice_eq(c->allowed_hosts[0], SLICE("api.example.com")));
	assert_true(slice_eq(c->allowed_hosts[1], SLICE("*.example.org")));
	assert_int_equal(c->health_path.len, 0);
	assert_false(c->splice.enabled);
	assert_int_equal(c->splice.min, 65536);
	config_free(c);
}

/* What config_print() writes; malloced. */
static char *printed(const struct config *config)
{
	char *text = NULL;
	size_t len;
	FILE *file = open_memstream(&text, &len);

	assert_non_null(file);
	assert_int_equal(config_print(config, file), 0);
	assert_int_equal(fclose(file), 0);
	return text;
}

static void what_is_printed_is_read_back(void **state)
{
	const char *const texts[] = { NULL, full, "", "limits:\ntimeouts: null\n" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct config *first = load(texts[i]);
		char *text = printed(first);
		struct config *second = load(text);
		char *again = printed(second);

		assert_string_equal(text, again);
		free(text);
		free(again);
		config_free(first);
		config_free(second);
	}
}

static const struct config_override over[] = {
	{ "listeners", ":1", "--listen" },
	{ "upstreams", "http://a.example:3000", "--upstream" },
	{ "workers", "7", "--workers" },
	{ "listeners", "[::1]:2", "--listen" },
	{ "upstreams", "unix:/run/app.sock", "--upstream" },
	{ "timeouts.head", "3s", "READ_TIMEOUT" },
	{ "control.path", "auto", "--control" },
	{ "splice.enabled", "true", "SLUICE_SPLICE" },
};

static void overrides_win(void **state)
{
	static struct report rep;
	struct config *c;

	(void)state;
	report_init(&rep, NULL);
	assert_int_equal(config_load(write_file(full), over, ARRAY_SIZE(over), &rep, &c), 0);
	assert_int_equal(c->n_listeners, 2);
	assert_true(slice_eq(c->listeners[0].address, SLICE(":1")));
	assert_true(slice_eq(c->listeners[1].address, SLICE("[::1]:2")));
	assert_int_equal(c->listeners[1].protocols, CONFIG_HTTP1);
	assert_int_equal(c->listeners[0].n_trusted_proxies, 0);
	assert_int_equal(c->workers, 7);
	assert_int_equal(c->timeouts.head_ns, 3000000000);
	assert_int_equal(c->timeouts.drain_grace_ns, 5000000000); /* The file's, still. */
	assert_true(slice_eq(c->control.path, SLICE("auto")));
	assert_true(slice_eq(c->control.group, SLICE("adm")));
	assert_true(c->splice.enabled);
	assert_int_equal(c->n_upstreams, 2);
	assert_true(slice_eq(c->upstreams[0].url.host, SLICE("a.example")));
	assert_int_equal(c->upstreams[0].url.port, 3000);
	assert_true(slice_eq(c->upstreams[1].url.path, SLICE("/run/app.sock")));
	config_free(c);
}

static const struct {
	struct config_override over;
	const char *error;
} bad_overrides[] = {
	{ { "workers", "x", "--workers" },
	  "--workers: workers: \"x\" is not allowed; allowed: auto, or 1 to 256" },
	{ { "workers", "", "--workers" },
	  "--workers: workers: \"\" is not allowed; allowed: auto, or 1 to 256" },
	{ { "workers", "99999999999999999999", "--workers" },
	  "--workers: workers: \"99999999999999999999\" is not allowed; allowed: auto, or 1 to "
	  "256" },
	{ { "listeners", "8080", "--listen" },
	  "--listen: listeners[0].address: \"8080\" is not allowed; " ADDRESS },
	{ { "listeners", "", "--listen" },
	  "--listen: listeners[0].address: \"\" is empty; " ADDRESS },
	{ { "timeouts.head", "5", "READ_TIMEOUT" },
	  "READ_TIMEOUT: timeouts.head: 5 has no unit; allowed: 10ms to 10m" },
	{ { "control.path", "123", "--control" },
	  "--control: control.path: \"123\" is not allowed; allowed: auto, off, or an absolute path "
	  "of at most 107 bytes" },
	{ { "upstreams", "http://a/b", "--upstream" },
	  "--upstream: \"http://a/b\" has a path, a query or a user name; an upstream is a host and "
	  "a port only, requests bring their own path" },
	{ { "upstreams", "ftp://a", "UPSTREAM_URL" },
	  "UPSTREAM_URL: \"ftp://a\" is not an upstream; allowed: http://host:port, "
	  "http://[v6]:port, the same with https, h2 or h2c, or unix:/path" },
	{ { "listeners", "a\xff", "--listen" },
	  "--listen: listeners[0].address: control characters or bytes that are not UTF-8" },
};

static void overrides_are_checked_as_keys_are(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad_overrides); i++)
		assert_string_equal(refusal_with(NULL, &bad_overrides[i].over, 1),
				    bad_overrides[i].error);
	/* The file's errors and the flags', each with its source. */
	assert_string_equal(refusal_with("workers: x\n", &bad_overrides[0].over, 1),
			    "f:1:10: workers: \"x\" is not allowed; allowed: auto, or 1 to 256; "
			    "--workers: workers: \"x\" is not allowed; allowed: auto, or 1 to 256");
}

/* One service, one protocol. */
static void upstreams_are_of_one_scheme(void **state)
{
	static const struct config_override urls[] = {
		{ "upstreams", "https://a", "--upstream" },
		{ "upstreams", "https://b:1", "--upstream" },
		{ "upstreams", "unix:/s", "--upstream" },
	};
	struct config *c;
	static struct report rep;

	(void)state;
	assert_string_equal(
		refusal_with(NULL, urls, 3),
		"--upstream: \"unix:/s\": upstreams that share the load have one scheme");
	report_init(&rep, NULL);
	assert_int_equal(config_load(NULL, urls, 2, &rep, &c), 0);
	assert_int_equal(config_scheme(c), FORM_HTTPS);
	assert_true(c->upstream_tls.verify && c->upstream_tls.ca.len == 0);
	config_free(c);
}

static void a_reload_may_change_live_keys_only(void **state)
{
	static struct report rep;
	struct config *now = load("workers: 2\nlimits: {per_client: 5}\n");
	struct config *live = load("workers: 2\nlimits: {per_client: 6}\ntimeouts: {head: 1s}\n");
	struct config *dead = load("workers: 3\nlisteners: [{address: \":1\"}]\n"
				   "splice: {min: 16KiB}\n");
	char line[256];

	(void)state;
	report_init(&rep, NULL);
	assert_int_equal(config_check_reload(now, live, &rep), 0);
	assert_int_equal(config_check_reload(now, dead, &rep), -EINVAL);
	assert_int_equal(rep.n, 3);
	(void)report_format(&rep, 0, line, sizeof(line));
	assert_string_equal(line, "listeners: cannot change without a restart");
	(void)report_format(&rep, 1, line, sizeof(line));
	assert_string_equal(line, "workers: cannot change without a restart");
	(void)report_format(&rep, 2, line, sizeof(line));
	assert_string_equal(line, "splice.min: cannot change without a restart");
	config_free(now);
	config_free(live);
	config_free(dead);
}

typedef void page_fn(struct writer *w, const struct schema *schema);

static void put_reference(struct writer *w, const struct schema *schema)
{
	page_reference(w, schema, "config");
}

static void check_page(page_fn *page, const char *name)
{
	static char want[1 << 16], got[1 << 16];
	struct writer w = writer_make(want, sizeof(want));
	const char *root = getenv("GW_SOURCE_DIR");
	char path[4096];
	FILE *file;
	size_t len;

	page(&w, &config_schema);
	assert_false(w.overflow);
	(void)snprintf(path, sizeof(path), "%s/docs/%s", root ? root : ".", name);
	file = fopen(path, "r");
	if (!file)
		fail_msg("%s is missing", path);
	len = fread(got, 1, sizeof(got), file);
	assert_int_equal(fclose(file), 0);
	if (!slice_eq(slice_make(got, len), writer_slice(&w)))
		fail_msg("%s is not what the schema says: make it anew, as its second line tells",
			 path);
}

static void pages_are_up_to_date(void **state)
{
	(void)state;
	check_page(put_reference, "CONFIG.md");
	check_page(page_limits, "LIMITS.md");
}

/* Said in the file, whatever the value; and what a policy leaves alone is not among them. */
static void what_a_policy_replaces_is_warned_of(void **state)
{
	static struct report rep;
	struct config *config = load("allowed_hosts: [a.test]\n"
				     "timeouts: {connect: 2s, head: 1s, write_stall: 9s}\n"
				     "pool: {idle_timeout: 30s, max_idle: 7, max_requests: null}\n"
				     "access_log: null\n");

	(void)state;
	report_init(&rep, "x.yaml");
	config_replaced_warn(config, &rep);
	assert_int_equal(rep.n, 3);
	assert_string_equal(rep.errors[0].path, "allowed_hosts");
	assert_string_equal(rep.errors[0].text,
			    "has no effect: it is for --upstream, and a policy says where requests "
			    "go; there it is routes[].match.hosts");
	assert_string_equal(rep.errors[1].path, "timeouts.connect");
	assert_string_equal(rep.errors[2].path, "pool.idle_timeout");
	config_free(config);
	config = load(NULL);
	report_init(&rep, NULL);
	config_replaced_warn(config, &rep);
	assert_int_equal(rep.n, 0);
	config_free(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(broken_files_are_refused),
		cmocka_unit_test(only_the_first_errors_are_kept),
		cmocka_unit_test(files_must_be_readable),
		cmocka_unit_test(presets_are_those_of_the_design),
		cmocka_unit_test(values_are_taken),
		cmocka_unit_test(what_is_printed_is_read_back),
		cmocka_unit_test(overrides_win),
		cmocka_unit_test(overrides_are_checked_as_keys_are),
		cmocka_unit_test(upstreams_are_of_one_scheme),
		cmocka_unit_test(what_a_policy_replaces_is_warned_of),
		cmocka_unit_test(a_reload_may_change_live_keys_only),
		cmocka_unit_test(pages_are_up_to_date),
	};

	return cmocka_run_group_tests(tests, NULL, remove_file);
}
