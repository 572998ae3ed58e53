/* SPDX-License-Identifier: Apache-2.0 */
/* The schema of what a route does with a request: fields, targets, answers of its own. */
#include "core/base/clock.h"
#include "core/document/form.h"
#include "policy/header_name.h"
#include "policy/schema.h"
#include "policy/table.h"
#include "policy/template.h"

static const struct schema_word word_off[] = { { "off", 0, NULL }, { NULL, 0, NULL } };

/* --- Header fields. -------------------------------------------------------------------------- */

static int is_request_name(struct slice name)
{
	return header_name_check(name, HEADER_REQUEST);
}

static int is_response_name(struct slice name)
{
	return header_name_check(name, HEADER_RESPONSE);
}

/* Blanks at its ends would not arrive (RFC 9110 5.5). */
static int is_value(struct slice value, uint32_t allowed)
{
	struct slice trimmed = slice_trim(value);

	return trimmed.len == value.len ? template_check(value, allowed) : -1;
}

static int is_request_value(struct slice value)
{
	return is_value(value, TEMPLATE_IN_REQUEST);
}

static int is_response_value(struct slice value)
{
	return is_value(value, TEMPLATE_IN_RESPONSE);
}

#define NAME_EXPECTED                                                                              \
	"a field's name, without '_' (the gateway refuses requests with one), and none that is "   \
	"about the connection, the body's length, or who forwards"

static const struct schema_field request_value = {
	.type = SCHEMA_TEXT,
	.max = POLICY_VALUE_MAX,
	.check = is_request_value,
	.expected = "a field's value; ${client_ip}, ${host}, ${scheme}, ${method}, ${path}, "
		    "${query}, ${route}, ${service}, ${request_id} stand for what they say",
};

static const struct schema_field response_value = {
	.type = SCHEMA_TEXT,
	.max = POLICY_VALUE_MAX,
	.check = is_response_value,
	.expected = "a field's value; ${client_ip}, ${host}, ${scheme}, ${route}, ${service}, "
		    "${request_id} stand for what they say",
};

static const struct schema_field request_name = {
	.type = SCHEMA_TEXT,
	.check = is_request_name,
	.expected = NAME_EXPECTED,
};

static const struct schema_field response_name = {
	.type = SCHEMA_TEXT,
	.check = is_response_name,
	.expected = NAME_EXPECTED,
};

#define HEADERS(of_)                                                                                      \
	{ .key = "set",                                                                                   \
	  SCHEMA_COUNTED(written_headers, set, n_set),                                                    \
	  .type = SCHEMA_NAMED,                                                                           \
	  .max = POLICY_RULES_MAX,                                                                        \
	  .check = is_##of_##_name,                                                                       \
	  .expected = NAME_EXPECTED,                                                                      \
	  .element = &of_##_value,                                                                        \
	  .example = "{x-tenant: blue}",                                                                  \
	  .help = "In place of all that were there under this name." },                                   \
		{ .key = "add",                                                                           \
		  SCHEMA_COUNTED(written_headers, add, n_add),                                            \
		  .type = SCHEMA_NAMED,                                                                   \
		  .max = POLICY_RULES_MAX,                                                                \
		  .check = is_##of_##_name,                                                               \
		  .expected = NAME_EXPECTED,                                                              \
		  .element = &of_##_value,                                                                \
		  .example = "{x-seen-at: edge}",                                                         \
		  .help = "Beside what is there under this name. A field whose variable has no value is " \
			  "left out." },                                                                  \
		{ .key = "remove",                                                                        \
		  SCHEMA_COUNTED(written_headers, remove, n_remove),                                      \
		  .type = SCHEMA_LIST,                                                                    \
		  .max = POLICY_RULES_MAX,                                                                \
		  .element = &of_##_name,                                                                 \
		  .example = "[x-debug]",                                                                 \
		  .help = "Not passed on." },

static const struct schema_field request_headers_fields[] = { HEADERS(request) };
static const struct schema_field response_headers_fields[] = { HEADERS(response) };

const struct schema policy_request_headers_schema = {
	.title = "request_headers",
	.help = "Fields of requests, on their way to the service. cookie cannot be added, as a request "
		"has one at most; it can be set.",
	.size = sizeof(struct written_headers),
	.n_fields = ARRAY_SIZE(request_headers_fields),
	.fields = request_headers_fields,
};

const struct schema policy_response_headers_schema = {
	.title = "response_headers",
	.help = "Fields of answers on their way to the client, the gateway's own included.",
	.size = sizeof(struct written_headers),
	.n_fields = ARRAY_SIZE(response_headers_fields),
	.fields = response_headers_fields,
};

/* --- Targets. -------------------------------------------------------------------------------- */

static int is_new_path(struct slice text)
{
	return text.ptr[0] == '/' && slice_find(text, '?') == SLICE_NONE &&
			       slice_find(text, '#') == SLICE_NONE &&
			       slice_find(text, ' ') == SLICE_NONE
		       ? template_check(text, TEMPLATE_IN_PATH)
		       : -1;
}

static int is_new_host(struct slice text)
{
	struct form_url url;

	return form_endpoint(text, FORM_HTTP, &url) == 0 && url.path.len == 0 ? 0 : -1;
}

static const struct schema_field rewrite_fields[] = {
	{ .key = "prefix",
	  SCHEMA_MEMBER(written_rewrite, prefix),
	  .type = SCHEMA_TEXT,
	  .max = POLICY_PATH_MAX,
	  .words = word_off,
	  .check = form_canonical_path,
	  .expected = POLICY_PATH_EXPECTED,
	  .preset = "off",
	  .example = "/v2",
	  .help = "Stands in place of the route's path_prefix. \"/\" takes it away." },
	{ .key = "path",
	  SCHEMA_MEMBER(written_rewrite, path),
	  .type = SCHEMA_TEXT,
	  .max = POLICY_PATH_MAX,
	  .words = word_off,
	  .check = is_new_path,
	  .expected =
		  "a path; ${path} and ${rest}, which is what follows the prefix, stand for them",
	  .preset = "off",
	  .example = "/legacy${path}",
	  .help = "Stands in place of the whole path. The query stays as it is." },
	{ .key = "host",
	  SCHEMA_MEMBER(written_rewrite, host),
	  .type = SCHEMA_TEXT,
	  .words = word_off,
	  .check = is_new_host,
	  .expected = "a host's name, perhaps with a port",
	  .preset = "off",
	  .example = "users.internal",
	  .help = "Is told to the service as Host, or :authority." },
};

const struct schema policy_rewrite_schema = {
	.title = "rewrite",
	.help = "What the service is asked for, when it is not what the client has asked for.",
	.size = sizeof(struct written_rewrite),
	.n_fields = ARRAY_SIZE(rewrite_fields),
	.fields = rewrite_fields,
};

/*
 * To a place that the operator has named: what comes from the request must not decide where
 * it leads to, and "//host" would be another host (RFC 3986 4.2).
 */
static int is_location(struct slice text)
{
	struct slice rest = text;

	if (slice_starts_with(text, SLICE("https://")))
		rest = slice_drop(text, 8);
	else if (slice_starts_with(text, SLICE("http://")))
		rest = slice_drop(text, 7);
	else if (text.len > 1 && text.ptr[0] == '/')
		rest = slice_drop(text, 1);
	else if (text.len == 1 && text.ptr[0] == '/')
		return 0;
	if (rest.len == 0 || rest.ptr[0] == '/' || rest.ptr[0] == '\\' ||
	    slice_find(text, ' ') != SLICE_NONE)
		return -1;
	if (rest.len == text.len)
		return -1;
	if (text.ptr[0] == '/' && rest.ptr[0] == '$')
		return -1;
	if (text.ptr[0] != '/' && rest.ptr[0] == '$' && !slice_starts_with(rest, SLICE("${host}")))
		return -1;
	return template_check(text, TEMPLATE_IN_TARGET);
}

static const struct schema_word redirect_statuses[] = {
	{ "301", 301, "moved for good; the method may become GET" },
	{ "302", 302, "found elsewhere for now; the method may become GET" },
	{ "303", 303, "to be fetched with GET" },
	{ "307", 307, "elsewhere for now, with the same method" },
	{ "308", 308, "moved for good, with the same method" },
	{ NULL, 0, NULL },
};

static const struct schema_field redirect_fields[] = {
	{ .key = "to",
	  SCHEMA_MEMBER(written_redirect, to),
	  .type = SCHEMA_TEXT,
	  .max = POLICY_VALUE_MAX,
	  .words = word_off,
	  .check = is_location,
	  .expected = "\"https://\" or \"http://\" and a host, or \"/\" and a path; ${host}, "
		      "${scheme}, ${path}, ${query}, ${rest} stand for those of the request, but "
		      "nothing of it except ${host} may come where a host is expected",
	  .preset = "off",
	  .example = "https://${host}${path}${query}",
	  .help = "Where the client is sent." },
	{ .key = "status",
	  SCHEMA_MEMBER(written_redirect, status),
	  .type = SCHEMA_ENUM,
	  .words = redirect_statuses,
	  .preset = "308",
	  .help = "Of the answer." },
};

const struct schema policy_redirect_schema = {
	.title = "redirect",
	.help = "The route answers with another place to ask.",
	.size = sizeof(struct written_redirect),
	.n_fields = ARRAY_SIZE(redirect_fields),
	.fields = redirect_fields,
};

/* --- Answers. -------------------------------------------------------------------------------- */

static int is_content_type(struct slice text)
{
	return slice_find(text, '/') != SLICE_NONE && slice_trim(text).len == text.len &&
			       slice_find(text, '$') == SLICE_NONE
		       ? 0
		       : -1;
}

static const struct schema_field respond_fields[] = {
	{ .key = "status",
	  SCHEMA_MEMBER(written_respond, status),
	  .type = SCHEMA_NUMBER,
	  .words = word_off,
	  .min = 200,
	  .max = 599,
	  .preset = "off",
	  .example = "503",
	  .help = "Of the answer. With 429 and 503 goes retry-after, unless response_headers sets it. 301 to "
		  "308 but 304 need a location in response_headers: redirect is made for them." },
	{ .key = "content_type",
	  SCHEMA_MEMBER(written_respond, content_type),
	  .type = SCHEMA_TEXT,
	  .check = is_content_type,
	  .expected = "a media type, such as text/html",
	  .preset = "text/plain",
	  .help = "Of the body, if there is one." },
	{ .key = "body",
	  SCHEMA_MEMBER(written_respond, body),
	  .type = SCHEMA_TEXT,
	  .flags = SCHEMA_LINES,
	  .max = POLICY_ANSWER_MAX,
	  .words = word_off,
	  .preset = "off",
	  .example = "Back at noon.",
	  .help = "As it is sent. None with 204, 205 and 304." },
};

const struct schema policy_respond_schema = {
	.title = "respond",
	.help = "The route answers by itself: while a service is maintained, or with what never "
		"changes.",
	.size = sizeof(struct written_respond),
	.n_fields = ARRAY_SIZE(respond_fields),
	.fields = respond_fields,
};

/* --- Cookies. -------------------------------------------------------------------------------- */

static const struct schema_field cookie = {
	.type = SCHEMA_TEXT,
	.max = POLICY_NAME_MAX,
	.check = form_token,
	.expected = "a cookie's name",
};

static const struct schema_field cookies_fields[] = {
	{ .key = "allow",
	  SCHEMA_COUNTED(written_cookies, allow, n_allow),
	  .type = SCHEMA_LIST,
	  .max = POLICY_RULES_MAX,
	  .element = &cookie,
	  .example = "[session]",
	  .help = "Only these are passed on. Not together with drop." },
	{ .key = "drop",
	  SCHEMA_COUNTED(written_cookies, drop, n_drop),
	  .type = SCHEMA_LIST,
	  .max = POLICY_RULES_MAX,
	  .element = &cookie,
	  .example = "[_ga]",
	  .help = "These are not passed on." },
	{ .key = "max_bytes",
	  SCHEMA_MEMBER(written_cookies, max_bytes),
	  .type = SCHEMA_SIZE,
	  .words = word_off,
	  .min = 1,
	  .max = 65536,
	  .preset = "off",
	  .help = "All that a request brings, before any is dropped.",
	  .over = "431, cookie_too_large" },
};

const struct schema policy_cookies_schema = {
	.title = "cookies",
	.help = "Which of a client's cookies the service sees.",
	.size = sizeof(struct written_cookies),
	.n_fields = ARRAY_SIZE(cookies_fields),
	.fields = cookies_fields,
};

/* --- CORS. ----------------------------------------------------------------------------------- */

/* "*", or a scheme and an authority, of which the first label may be "*". */
static int is_origin(struct slice text)
{
	size_t at = slice_find_slice(text, SLICE("://"));
	struct form_url url;
	struct slice host;

	if (slice_eq(text, SLICE("*")))
		return 0;
	if (at == SLICE_NONE || at == 0 || form_token(slice_take(text, at)) < 0)
		return -1;
	host = slice_drop(text, at + 3);
	if (slice_starts_with(host, SLICE("*.")))
		host = slice_drop(host, 2);
	return form_endpoint(host, FORM_HTTP, &url) == 0 && url.path.len == 0 ? 0 : -1;
}

static const struct schema_field origin = {
	.type = SCHEMA_TEXT,
	.check = is_origin,
	.expected = "\"https://host\", \"https://*.host\", with a port where it has one, or \"*\"",
};

static const struct schema_field token = {
	.type = SCHEMA_TEXT,
	.max = 64,
	.check = form_token,
	.expected = "a method or a field's name",
};

#define TOKENS(key_, member_, example_, help_)                                                     \
	{                                                                                          \
		.key = key_, SCHEMA_COUNTED(written_cors, member_, n_##member_),                   \
		.type = SCHEMA_LIST, .max = POLICY_RULES_MAX, .element = &token,                   \
		.example = example_, .help = help_                                                 \
	}

static const struct schema_field cors_fields[] = {
	{ .key = "origins",
	  SCHEMA_COUNTED(written_cors, origins, n_origins),
	  .type = SCHEMA_LIST,
	  .max = POLICY_RULES_MAX,
	  .element = &origin,
	  .example = "[\"https://app.example.com\"]",
	  .help = "Whose pages may use the answers; compared as a whole. None, and nothing "
		  "else here: CORS is the service's own matter." },
	TOKENS("methods", methods, "[GET, POST, PUT]",
	       "That a page may use. None: GET, HEAD and POST."),
	TOKENS("headers", headers, "[authorization, content-type]",
	       "Fields that a page may send beside those that are always allowed."),
	TOKENS("expose", expose, "[etag]",
	       "Fields of answers that a page may read, beside the usual."),
	{ .key = "credentials",
	  SCHEMA_MEMBER(written_cors, credentials),
	  .type = SCHEMA_BOOL,
	  .preset = "false",
	  .help = "Pages may send cookies and read what comes of it. Not with origins [\"*\"]." },
	{ .key = "max_age",
	  SCHEMA_MEMBER(written_cors, max_age_ns),
	  .type = SCHEMA_DURATION,
	  .min = GW_NS_PER_S,
	  .max = 86400 * GW_NS_PER_S,
	  .preset = "10m",
	  .help = "A browser may remember for so long what was allowed." },
};

const struct schema policy_cors_schema = {
	.title = "cors",
	.help = "Pages of other origins: preflights are answered here, and what the service says of "
		"its own about CORS is replaced.",
	.size = sizeof(struct written_cors),
	.n_fields = ARRAY_SIZE(cors_fields),
	.fields = cors_fields,
};
