/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/target.h"

#include <arpa/inet.h>

#include "core/http/chars.h"

/* A path on its way to canonical form: text[0 .. done) is, text[next ..) is not yet read. */
struct path {
	char *text;
	uint32_t len;
	uint32_t next;
	uint32_t done;
};

/*
 * Most paths are canonical as they come: no '%', and no '/' before '/' or '.'.
 * ("/.x" is canonical too; finding that out is left to the long way.)
 */
static bool is_plain(const char *text, uint32_t len)
{
	if (len == 0 || text[0] != '/')
		return false;
	for (uint32_t i = 0; i < len; i++) {
		if (GW_LIKELY(chars_is(text[i], CHARS_SEGMENT)))
			continue;
		if (text[i] != '/' || (i + 1 < len && (text[i + 1] == '/' || text[i + 1] == '.')))
			return false;
	}
	return true;
}

/* An escape at p->next: append what it stands for, or the escape itself in upper case. */
static enum reason take_escape(struct path *p)
{
	static const char digits[] = "0123456789ABCDEF";
	const char *at = p->text + p->next;
	unsigned value;

	if (p->len - p->next < 3 || !chars_is(at[1], CHARS_HEX) || !chars_is(at[2], CHARS_HEX))
		return REASON_PATH_ENCODING;
	value = chars_hex_value(at[1]) << 4 | chars_hex_value(at[2]);
	if (value < 0x20 || value == 0x7f)
		return REASON_PATH_CONTROL;
	if (value == '/' || value == '\\')
		return REASON_PATH_ESCAPED_SLASH;
	p->next += 3;
	if (chars_is((char)value, CHARS_UNRESERVED)) {
		p->text[p->done++] = (char)value;
		return REASON_NONE;
	}
	p->text[p->done++] = '%';
	p->text[p->done++] = digits[value >> 4];
	p->text[p->done++] = digits[value & 15];
	return REASON_NONE;
}

/* Copy one segment, up to the next '/' or the end, decoding it once. */
static enum reason take_segment(struct path *p)
{
	while (p->next < p->len && p->text[p->next] != '/') {
		enum reason reason = REASON_NONE;
		char c = p->text[p->next];

		if (c == '%')
			reason = take_escape(p);
		else if (!chars_is(c, CHARS_SEGMENT))
			reason = REASON_BAD_TARGET;
		else
			p->text[p->done++] = p->text[p->next++];
		if (reason != REASON_NONE)
			return reason;
	}
	return REASON_NONE;
}

enum segment { SEGMENT_PLAIN, SEGMENT_DOT, SEGMENT_DOT_DOT, SEGMENT_HIDDEN };

/*
 * Dots with parameters ("..;x") are dot segments to servers that cut parameters
 * off first, and plain ones to others: hidden.
 */
static enum segment judge_segment(const char *text, uint32_t len)
{
	uint32_t dots = 0;

	while (dots < len && dots < 3 && text[dots] == '.')
		dots++;
	if (dots == 0 || dots == 3)
		return SEGMENT_PLAIN;
	if (dots == len)
		return dots == 1 ? SEGMENT_DOT : SEGMENT_DOT_DOT;
	if (text[dots] == ';' || (len - dots >= 3 && memcmp(text + dots, "%3B", 3) == 0))
		return SEGMENT_HIDDEN;
	return SEGMENT_PLAIN;
}

/* Drop the segment that begins at 'start' (behind its '/') or, for "..", the one before too. */
static enum reason resolve_segment(struct path *p, uint32_t start)
{
	switch (judge_segment(p->text + start, p->done - start)) {
	case SEGMENT_PLAIN:
		return REASON_NONE;
	case SEGMENT_DOT:
		p->done = start;
		return REASON_NONE;
	case SEGMENT_DOT_DOT:
		if (start == 1)
			return REASON_PATH_TRAVERSAL;
		p->done = start - 1;
		while (p->text[p->done - 1] != '/')
			p->done--;
		return REASON_NONE;
	case SEGMENT_HIDDEN:
		return REASON_PATH_TRAVERSAL;
	}
	GW_UNREACHABLE();
}

/*
 * One segment per turn; text[0 .. done) always ends with '/' before it. As the
 * canonical form is never longer, 'done' never overtakes 'next'.
 */
static enum reason normalise(struct path *p)
{
	while (p->next < p->len) {
		uint32_t start = p->done;
		enum reason reason;

		GW_ASSERT(p->done > 0 && p->done <= p->next && p->text[p->done - 1] == '/');
		reason = take_segment(p);
		if (reason == REASON_NONE)
			reason = resolve_segment(p, start);
		if (reason != REASON_NONE)
			return reason;
		if (p->next == p->len)
			break;
		p->next++; /* The '/'. */
		if (p->text[p->done - 1] != '/')
			p->text[p->done++] = '/';
	}
	return REASON_NONE;
}

enum reason target_canonical_path(char *text, uint16_t *len, bool *ret_changed)
{
	struct path p = { .text = text, .len = *len, .next = 1, .done = 1 };
	enum reason reason;

	if (is_plain(text, *len)) {
		*ret_changed = false;
		return REASON_NONE;
	}
	if (*len == 0 || text[0] != '/')
		return REASON_BAD_TARGET;
	reason = normalise(&p);
	if (reason != REASON_NONE)
		return reason;
	GW_ASSERT(p.done <= *len);
	*ret_changed = true;
	*len = (uint16_t)p.done;
	return REASON_NONE;
}

/* "[...]": the address inside in a form that inet_pton() knows, without zone. */
static bool is_ip_literal(const char *text, uint32_t len)
{
	char address[INET6_ADDRSTRLEN];
	struct in6_addr ignored;

	if (len - 2 >= sizeof(address))
		return false;
	memcpy(address, text + 1, len - 2);
	address[len - 2] = '\0';
	return !memchr(text, '\0', len) && inet_pton(AF_INET6, address, &ignored) == 1;
}

/* clang-format off */
/* What each byte of a name becomes: letters lower case; 0 for all that none holds. */
static const char name_chars[256] = {
	['-'] = '-', ['.'] = '.', ['_'] = '_',
#define C(upper, lower) [upper] = lower, [lower] = lower,
	C('A', 'a') C('B', 'b') C('C', 'c') C('D', 'd') C('E', 'e') C('F', 'f') C('G', 'g')
	C('H', 'h') C('I', 'i') C('J', 'j') C('K', 'k') C('L', 'l') C('M', 'm') C('N', 'n')
	C('O', 'o') C('P', 'p') C('Q', 'q') C('R', 'r') C('S', 's') C('T', 't') C('U', 'u')
	C('V', 'v') C('W', 'w') C('X', 'x') C('Y', 'y') C('Z', 'z')
#undef C
#define C(digit) [digit] = digit,
	C('0') C('1') C('2') C('3') C('4') C('5') C('6') C('7') C('8') C('9')
#undef C
};
/* clang-format on */

/*
 * A registered name or an IPv4 address at text[0 .. *ret_len), up to the first
 * byte that is of neither: labels of letters, digits, '-' and '_', made lower
 * case. A dot at the end is passed over, one label at least is wanted.
 */
static bool take_name(char *text, uint32_t len, uint32_t *ret_len)
{
	uint32_t label = 0, i;

	for (i = 0; i < len; i++) {
		char c = name_chars[(unsigned char)text[i]];

		if (c == 0)
			break;
		text[i] = c;
		if (c != '.')
			continue;
		if (i == label || i - label > TARGET_LABEL_MAX)
			return false;
		label = i + 1;
	}
	*ret_len = i;
	return i > 0 && i - label <= TARGET_LABEL_MAX;
}

/* Digits after the ':'; none at all is allowed and means 0. */
static bool read_port(const char *text, uint32_t len, uint16_t *ret_port)
{
	uint32_t port = 0;

	for (uint32_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		port = port * 10 + (uint32_t)(text[i] - '0');
		if (port > UINT16_MAX)
			return false;
	}
	if (len > 0 && port == 0)
		return false;
	*ret_port = (uint16_t)port;
	return true;
}

/* The same for "[...]". */
static bool take_ip_literal(char *text, uint32_t len, uint32_t *ret_len)
{
	const char *end = memchr(text, ']', len);

	if (!end || !is_ip_literal(text, (uint32_t)(end + 1 - text)))
		return false;
	*ret_len = (uint32_t)(end + 1 - text);
	for (uint32_t i = 0; i < *ret_len; i++)
		text[i] = slice_lower(text[i]);
	return true;
}

enum reason target_canonical_host(char *text, uint16_t len, uint16_t *ret_host_len,
				  uint16_t *ret_port)
{
	uint32_t end = 0;
	uint16_t port = 0;

	if (len == 0 ||
	    !(text[0] == '[' ? take_ip_literal(text, len, &end) : take_name(text, len, &end)))
		return REASON_HOST_INVALID;
	if (end < len && (text[end] != ':' || !read_port(text + end + 1, len - end - 1, &port)))
		return REASON_HOST_INVALID;
	if (text[end - 1] == '.')
		end--;
	if (end > TARGET_HOST_MAX)
		return REASON_HOST_INVALID;
	*ret_host_len = (uint16_t)end;
	*ret_port = port;
	return REASON_NONE;
}

static struct http_refusal refuse(uint16_t status, enum reason reason)
{
	return (struct http_refusal){ .status = status, .reason = (uint16_t)reason };
}

/* Cut head->path at the '?' and make both halves what they shall be. */
static struct http_refusal resolve_path(struct http_head *head, char *base)
{
	char *text = base + head->path.off;
	const char *mark = memchr(text, '?', head->path.len);
	uint16_t path_len = mark ? (uint16_t)(mark - text) : head->path.len;
	bool changed = false;
	enum reason reason;

	head->query = (struct http_span){ (uint16_t)(head->path.off + path_len),
					  (uint16_t)(head->path.len - path_len) };
	head->path.len = path_len;
	reason = target_canonical_path(text, &head->path.len, &changed);
	if (reason != REASON_NONE)
		return refuse(400, reason);
	if (!chars_all(base + head->query.off, head->query.len, CHARS_TARGET))
		return refuse(400, REASON_BAD_TARGET);
	if (changed)
		head->anomalies |= HTTP_ANOMALY_PATH_NORMALISED;
	return refuse(0, REASON_NONE);
}

/* Where the authority in text[from .. len) ends: at '/', '?', or the end. */
static uint32_t authority_end(const char *text, uint32_t from, uint32_t len)
{
	while (from < len && text[from] != '/' && text[from] != '?')
		from++;
	return from;
}

/*
 * "http://host[:port][/path][?query]": the authority replaces the Host field
 * (RFC 9112 3.2.2). The path of a target without one is the '/' before the host.
 */
static struct http_refusal resolve_absolute(struct http_head *head, char *base, uint32_t scheme_len)
{
	char *text = base + head->path.off;
	uint32_t len = head->path.len;
	uint32_t end = authority_end(text, scheme_len, len);
	bool no_path = end == len || text[end] == '?';
	uint16_t start = head->path.off;
	struct http_refusal refusal;

	head->host.off = (uint16_t)(start + scheme_len);
	if (memchr(text + scheme_len, '@', end - scheme_len) ||
	    target_canonical_host(text + scheme_len, (uint16_t)(end - scheme_len), &head->host.len,
				  &head->port) != REASON_NONE)
		return refuse(400, REASON_BAD_TARGET);
	head->path = (struct http_span){ (uint16_t)(start + end), (uint16_t)(len - end) };
	if (!no_path)
		return resolve_path(head, base);

	if (!chars_all(text + end, len - end, CHARS_TARGET))
		return refuse(400, REASON_BAD_TARGET);
	refusal = refuse(0, REASON_NONE);
	head->query = head->path;
	head->path = (struct http_span){ (uint16_t)(head->host.off - 1), 1 };
	return refusal;
}

struct http_refusal target_resolve(struct http_head *head, char *base, bool secure)
{
	static const struct slice http = SLICE_INIT("http://");
	static const struct slice https = SLICE_INIT("https://");
	struct slice target = http_text(head, head->path);
	struct http_refusal refusal;

	GW_ASSERT(base == head->base && target.len > 0);
	if (target.ptr[0] == '/')
		return resolve_path(head, base);
	if (target.len == 1 && target.ptr[0] == '*' && head->method == HTTP_OPTIONS) {
		head->asterisk = true;
		return refuse(0, REASON_NONE);
	}
	if (slice_starts_with_nocase(target, http))
		return resolve_absolute(head, base, (uint32_t)http.len);
	if (!slice_starts_with_nocase(target, https))
		return refuse(400, REASON_BAD_TARGET);
	refusal = resolve_absolute(head, base, (uint32_t)https.len);
	if (refusal.reason == REASON_NONE && !secure)
		return (struct http_refusal){ 421, REASON_MISDIRECTED, true };
	return refusal;
}
