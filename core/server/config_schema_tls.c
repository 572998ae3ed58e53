/* SPDX-License-Identifier: Apache-2.0 */
/* The schema's sections about TLS: with clients, in a listener, and with upstreams. */
#include "core/crypto/tls_server.h"
#include "core/server/config.h"
#include "policy/table.h"

static const struct schema_word word_off[] = { { "off", 0, NULL }, { NULL, 0, NULL } };

/* --- With clients. --------------------------------------------------------------------------- */

static int is_certificate_name(struct slice text)
{
	bool is_pattern = slice_starts_with(text, SLICE("*."));

	return form_is_host(is_pattern ? slice_drop(text, 2) : text) ? 0 : -1;
}

static const struct schema_field certificate_name = {
	.type = SCHEMA_TEXT,
	.check = is_certificate_name,
	.expected = "a host name, or \"*.\" and a host name",
};

static const struct schema_word word_inherit[] = {
	{ "inherit", SCHEMA_EMPTY, "that of the listener" },
	{ NULL, 0, NULL },
};

static const struct schema_word entry_auths[] = {
	{ "inherit", CONFIG_CLIENT_AUTH_INHERIT, "as the listener" },
	{ "required", TLS_CLIENT_REQUIRED, "a client without a certificate is refused" },
	{ "optional", TLS_CLIENT_OPTIONAL, "a client may do without; a bad one is refused" },
	{ "off", TLS_CLIENT_NONE, "clients are not asked" },
	{ NULL, 0, NULL },
};

static const struct schema_field certificate_fields[] = {
	{ .key = "cert",
	  SCHEMA_MEMBER(config_certificate, cert),
	  .type = SCHEMA_TEXT,
	  .flags = SCHEMA_REQUIRED,
	  .check = form_path,
	  .expected = "an absolute path",
	  .example = "/etc/sluice/site.pem",
	  .help = "A PEM file: the certificate, then those that chain it to a root." },
	{ .key = "key",
	  SCHEMA_MEMBER(config_certificate, key),
	  .type = SCHEMA_TEXT,
	  .flags = SCHEMA_REQUIRED,
	  .check = form_path,
	  .expected = "an absolute path",
	  .example = "/etc/sluice/site.key",
	  .help = "A PEM file: the certificate's private key, without a pass phrase." },
	{ .key = "names",
	  SCHEMA_COUNTED(config_certificate, names, n_names),
	  .type = SCHEMA_LIST,
	  .max = CONFIG_CERTIFICATE_NAMES_MAX,
	  .element = &certificate_name,
	  .example = "[\"admin.example.org\"]",
	  .help = "What the entry is for, where that is not all that the certificate is for, so that "
		  "one certificate can serve some hosts in one way and others in another. The "
		  "certificate must be for each; such a name goes before the same one of a "
		  "certificate without names. None: all names and addresses of the certificate." },
	{ .key = "client_ca",
	  SCHEMA_MEMBER(config_certificate, client_ca),
	  .type = SCHEMA_TEXT,
	  .words = word_inherit,
	  .check = form_path,
	  .expected = "an absolute path",
	  .preset = "inherit",
	  .example = "/etc/sluice/admins.pem",
	  .help = "A PEM file with the authorities that vouch for clients of these names. Where an "
		  "entry asks for certificates, a request for a host of another entry is answered "
		  "421 on its connections, and one for its hosts on those of others; a host that no "
		  "entry is for counts as the first one's." },
	{ .key = "client_auth",
	  SCHEMA_MEMBER(config_certificate, client_auth),
	  .type = SCHEMA_ENUM,
	  .words = entry_auths,
	  .preset = "inherit",
	  .help = "Whether clients of these names have to show a certificate." },
};

static const struct schema certificate_schema = {
	.title = "certificate",
	.help = "What a listener shows to clients that ask for one of its names.",
	.size = sizeof(struct config_certificate),
	.n_fields = ARRAY_SIZE(certificate_fields),
	.fields = certificate_fields,
};

static const struct schema_field certificate = { .type = SCHEMA_MAP, .map = &certificate_schema };

static const struct schema_word client_auths[] = {
	{ "required", TLS_CLIENT_REQUIRED, "a client without a certificate is refused" },
	{ "optional", TLS_CLIENT_OPTIONAL, "a client may do without; a bad one is refused" },
	{ NULL, 0, NULL },
};

static const struct schema_word tls_versions[] = {
	{ "1.2", CONFIG_TLS_1_2, NULL },
	{ "1.3", CONFIG_TLS_1_3, NULL },
	{ NULL, 0, NULL },
};

static const struct schema_field tls_fields[] = {
	{ .key = "certificates",
	  SCHEMA_COUNTED(config_tls, certificates, n_certificates),
	  .type = SCHEMA_LIST,
	  .max = CONFIG_CERTIFICATES_MAX,
	  .element = &certificate,
	  .example = "[{cert: /etc/sluice/site.pem, key: /etc/sluice/site.key}]",
	  .help = "With at least one, the listener speaks TLS. The client's server name chooses: an "
		  "exact name before a wildcard, the first certificate where none fits. The same "
		  "certificate may be given several times, with other names and clients." },
	{ .key = "client_ca",
	  SCHEMA_MEMBER(config_tls, client_ca),
	  .type = SCHEMA_TEXT,
	  .words = word_off,
	  .check = form_path,
	  .expected = "an absolute path",
	  .preset = "off",
	  .example = "/etc/sluice/clients.pem",
	  .help = "A PEM file with the authorities that vouch for clients. With it, clients are asked "
		  "for a certificate, and a request for a host that the listener's certificate is not "
		  "for is answered 421. Each of the certificates may say otherwise for its names." },
	{ .key = "client_auth",
	  SCHEMA_MEMBER(config_tls, client_auth),
	  .type = SCHEMA_ENUM,
	  .words = client_auths,
	  .preset = "required",
	  .help = "Whether a client has to show a certificate, where client_ca is set." },
	{ .key = "min_version",
	  SCHEMA_MEMBER(config_tls, min_version),
	  .type = SCHEMA_ENUM,
	  .words = tls_versions,
	  .preset = "1.2",
	  .help = "The oldest version of TLS that is spoken." },
	{ .key = "strict_names",
	  SCHEMA_MEMBER(config_tls, strict_names),
	  .type = SCHEMA_BOOL,
	  .preset = "false",
	  .help = "Refuse a client that asks for a name which no certificate is for, by its own names "
		  "where it has some, instead of showing it the first one; and answer 421 to a request "
		  "for a host that the certificate is not for." },
};

const struct schema config_tls_schema = {
	.title = "tls",
	.help = "How a listener speaks TLS, if it does.",
	.size = sizeof(struct config_tls),
	.n_fields = ARRAY_SIZE(tls_fields),
	.fields = tls_fields,
};

/* --- Towards upstreams. ---------------------------------------------------------------------- */

static const struct schema_word word_system[] = {
	{ "system", SCHEMA_EMPTY,
	  "those that the system trusts; SSL_CERT_FILE names another file" },
	{ NULL, 0, NULL },
};

static int is_server_name(struct slice text)
{
	bool is_pattern = slice_starts_with(text, SLICE("*."));

	return !is_pattern && text.len && text.ptr[0] != '[' ? form_host_pattern(text) : -1;
}

static const struct schema_field upstream_tls_fields[] = {
	{ .key = "ca",
	  SCHEMA_MEMBER(config_upstream_tls, ca),
	  .type = SCHEMA_TEXT,
	  .flags = SCHEMA_LIVE,
	  .words = word_system,
	  .check = form_path,
	  .expected = "an absolute path",
	  .preset = "system",
	  .example = "/etc/sluice/upstreams.pem",
	  .help = "Who may vouch for upstreams: a PEM file with the authorities, read again on HUP. "
		  "Where the system has none, a policy with a service that speaks TLS is refused." },
	{ .key = "verify",
	  SCHEMA_MEMBER(config_upstream_tls, verify),
	  .type = SCHEMA_BOOL,
	  .flags = SCHEMA_LIVE,
	  .preset = "true",
	  .help = "false: whoever answers at the address is believed, so anybody on the way there can "
		  "read and change what passes. For tests; the log and a metric say so." },
	{ .key = "server_name",
	  SCHEMA_MEMBER(config_upstream_tls, server_name),
	  .type = SCHEMA_TEXT,
	  .flags = SCHEMA_LIVE,
	  .words = word_off,
	  .check = is_server_name,
	  .expected = "a host name or an IP address",
	  .preset = "off",
	  .example = "api.internal",
	  .help = "The name that every upstream is asked for and that its certificate must be for. "
		  "off: the host in its URL, where an IP address is looked for among the "
		  "certificate's addresses." },
	{ .key = "cert",
	  SCHEMA_MEMBER(config_upstream_tls, cert),
	  .type = SCHEMA_TEXT,
	  .flags = SCHEMA_LIVE,
	  .words = word_off,
	  .check = form_path,
	  .expected = "an absolute path",
	  .preset = "off",
	  .example = "/etc/sluice/gateway.pem",
	  .help = "A PEM file: the certificate to show to upstreams that ask for one, then those that "
		  "chain it to a root. Needs key." },
	{ .key = "key",
	  SCHEMA_MEMBER(config_upstream_tls, key),
	  .type = SCHEMA_TEXT,
	  .flags = SCHEMA_LIVE,
	  .words = word_off,
	  .check = form_path,
	  .expected = "an absolute path",
	  .preset = "off",
	  .example = "/etc/sluice/gateway.key",
	  .help = "A PEM file: that certificate's private key, without a pass phrase." },
	{ .key = "min_version",
	  SCHEMA_MEMBER(config_upstream_tls, min_version),
	  .type = SCHEMA_ENUM,
	  .flags = SCHEMA_LIVE,
	  .words = tls_versions,
	  .preset = "1.2",
	  .help = "The oldest version of TLS that is spoken." },
};

const struct schema config_upstream_tls_schema = {
	.title = "upstream_tls",
	.help = "TLS with upstreams whose URL begins with https.",
	.size = sizeof(struct config_upstream_tls),
	.n_fields = ARRAY_SIZE(upstream_tls_fields),
	.fields = upstream_tls_fields,
};
