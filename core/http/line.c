/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/line.h"

#include "core/http/chars.h"

enum line_part { PART_METHOD, PART_TARGET, PART_VERSION };

enum { VERSION_LEN = 8, CRLF_LEN = 2 };

static struct http_refusal refuse(uint16_t status, enum reason reason)
{
	return (struct http_refusal){ .status = status, .reason = (uint16_t)reason };
}

static const struct http_refusal fine = { .reason = REASON_NONE };

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_version(const char *text)
{
	return memcmp(text, "HTTP/", 5) == 0 && is_digit(text[5]) && text[6] == '.' &&
	       is_digit(text[7]);
}

/* Only that a version that we speak and is well-formed passes. */
static struct http_refusal judge_version(const char *text, uint32_t len)
{
	if (memchr(text, ' ', len))
		return refuse(400, REASON_BAD_REQUEST_LINE);
	if (len != VERSION_LEN || !is_version(text))
		return refuse(400, REASON_BAD_VERSION);
	if (text[5] != '1' || text[7] > '1')
		return refuse(505, REASON_BAD_VERSION);
	return fine;
}

static struct http_refusal judge_method_char(uint32_t i, char c)
{
	if (chars_is(c, CHARS_TOKEN))
		return i < LINE_METHOD_MAX ? fine : refuse(400, REASON_BAD_METHOD);
	return refuse(400, i == 0 || c == '\t' ? REASON_BAD_REQUEST_LINE : REASON_BAD_METHOD);
}

static struct http_refusal judge_target_char(uint32_t i, char c, uint32_t target_max)
{
	if (c == '\t')
		return refuse(400, REASON_BAD_REQUEST_LINE);
	if (!chars_is(c, CHARS_TARGET))
		return refuse(400, REASON_BAD_TARGET);
	return i < target_max ? fine : refuse(414, REASON_URI_TOO_LONG);
}

/* A space that ends a part: the next part begins behind it. */
static struct http_refusal next_part(struct line_reader *reader, uint32_t i)
{
	if (i == reader->mark) /* Nothing, or two spaces in a row. */
		return refuse(400, REASON_BAD_REQUEST_LINE);
	if (reader->part == PART_METHOD)
		reader->target = i + 1;
	else
		reader->version = i + 1;
	reader->part++;
	reader->mark = i + 1;
	return fine;
}

static struct http_refusal judge_char(struct line_reader *reader, const char *text, uint32_t i,
				      uint32_t target_max)
{
	uint32_t in_part = i - reader->mark;

	switch ((enum line_part)reader->part) {
	case PART_METHOD:
		return text[i] == ' ' ? next_part(reader, i) : judge_method_char(in_part, text[i]);
	case PART_TARGET:
		return text[i] == ' ' ? next_part(reader, i)
				      : judge_target_char(in_part, text[i], target_max);
	case PART_VERSION:
		if (in_part < LINE_VERSION_MAX)
			return fine;
		return judge_version(text + reader->mark, in_part);
	}
	GW_UNREACHABLE();
}

/* The LF has come at text[i]. */
static struct http_refusal judge_end(const struct line_reader *reader, const char *text, uint32_t i)
{
	uint32_t end = i - 1;

	if (i == 0 || text[end] != '\r')
		return refuse(400, REASON_BARE_LF);
	if (reader->part == PART_METHOD || end == reader->mark)
		return refuse(400, REASON_BAD_REQUEST_LINE);
	if (reader->part == PART_TARGET) /* HTTP/0.9 had no version. */
		return refuse(400, REASON_BAD_VERSION);
	if (i + 1 == sizeof("PRI * HTTP/2.0\r\n") - 1 && memcmp(text, "PRI * HTTP/2.0", end) == 0)
		return refuse(400, REASON_H2_NOT_ENABLED);
	return judge_version(text + reader->mark, end - reader->mark);
}

struct http_refusal line_read_request(struct line_reader *reader, const char *text, uint32_t len,
				      uint32_t target_max, uint32_t *ret_len)
{
	struct http_refusal refusal = fine;

	GW_ASSERT(reader->at <= len && reader->mark <= len);
	*ret_len = 0;
	for (; reader->at < len && !refusal.reason; reader->at++) {
		uint32_t i = reader->at;

		if (text[i] == '\n') {
			refusal = judge_end(reader, text, i);
			if (!refusal.reason)
				*ret_len = ++reader->at;
			return refusal;
		}
		if (i > 0 && text[i - 1] == '\r')
			refusal = refuse(400, REASON_BAD_REQUEST_LINE);
		else if (text[i] != '\r')
			refusal = judge_char(reader, text, i, target_max);
	}
	return refusal;
}

bool line_is_request(struct line_reader *reader, const char *text, uint32_t len,
		     uint32_t target_max)
{
	uint32_t method = 0;
	uint32_t version = len - CRLF_LEN - VERSION_LEN;

	if (len < sizeof("A / HTTP/1.1\r\n") - 1 || text[len - CRLF_LEN] != '\r')
		return false;
	if (memcmp(text + version - 1, " HTTP/1.", VERSION_LEN) != 0 ||
	    (text[version + 7] & ~1) != '0')
		return false;
	while (method <= LINE_METHOD_MAX && chars_is(text[method], CHARS_TOKEN))
		method++;
	if (method == 0 || method > LINE_METHOD_MAX || text[method] != ' ' ||
	    method + 1 >= version - 1 || version - 1 - (method + 1) > target_max ||
	    !chars_all(text + method + 1, version - 1 - (method + 1), CHARS_TARGET))
		return false;
	reader->target = method + 1;
	reader->version = version;
	return true;
}

/* By length and letters; OTHER is for llhttp to know or not to know. */
enum http_method line_method(struct slice text)
{
	switch (text.len) {
	case 3:
		return memcmp(text.ptr, "GET", 3) == 0   ? HTTP_GET
		       : memcmp(text.ptr, "PUT", 3) == 0 ? HTTP_PUT
							 : HTTP_OTHER;
	case 4:
		return memcmp(text.ptr, "POST", 4) == 0   ? HTTP_POST
		       : memcmp(text.ptr, "HEAD", 4) == 0 ? HTTP_HEAD
							  : HTTP_OTHER;
	case 5:
		if (memcmp(text.ptr, "TRACE", 5) == 0 || memcmp(text.ptr, "TRACK", 5) == 0)
			return HTTP_TRACE;
		return memcmp(text.ptr, "PATCH", 5) == 0 ? HTTP_PATCH : HTTP_OTHER;
	case 6:
		return memcmp(text.ptr, "DELETE", 6) == 0 ? HTTP_DELETE : HTTP_OTHER;
	case 7:
		return memcmp(text.ptr, "OPTIONS", 7) == 0   ? HTTP_OPTIONS
		       : memcmp(text.ptr, "CONNECT", 7) == 0 ? HTTP_CONNECT
							     : HTTP_OTHER;
	default:
		return HTTP_OTHER;
	}
}

struct http_refusal line_take_request(const struct line_reader *reader, uint32_t off, uint32_t len,
				      struct http_head *head)
{
	uint32_t target_len = reader->version - 1 - reader->target;

	GW_ASSERT(reader->target > 1 && reader->version > reader->target + 1);
	GW_ASSERT(off + len <= HTTP_HEAD_MAX);
	head->method_text = (struct http_span){ (uint16_t)off, (uint16_t)(reader->target - 1) };
	head->path = (struct http_span){ (uint16_t)(off + reader->target), (uint16_t)target_len };
	head->minor = (uint8_t)(head->base[off + reader->version + 7] - '0');
	head->method = (uint8_t)line_method(http_text(head, head->method_text));
	return head->method == HTTP_CONNECT ? refuse(405, REASON_CONNECT_DISABLED) : fine;
}

/* "HTTP/1.x 200[ phrase]CRLF"; some servers leave out the space before no phrase. */
struct http_refusal line_take_status(uint32_t off, uint32_t len, struct http_head *head)
{
	const char *text = head->base + off;
	const uint32_t code = VERSION_LEN + 1;
	uint32_t phrase = code + 3;
	uint32_t end = len - CRLF_LEN;

	GW_ASSERT(len > 0 && text[len - 1] == '\n' && off + len <= HTTP_HEAD_MAX);
	if (len < VERSION_LEN + 1 + CRLF_LEN || text[end] != '\r' || !is_version(text) ||
	    text[5] != '1' || text[7] > '1' || text[VERSION_LEN] != ' ')
		return refuse(502, REASON_UPSTREAM_HEADER);
	if (end < phrase || !is_digit(text[code]) || !is_digit(text[code + 1]) ||
	    !is_digit(text[code + 2]) || text[code] == '0' || text[code] > '5' ||
	    (end > phrase && text[phrase] != ' '))
		return refuse(502, REASON_UPSTREAM_STATUS);
	if (end > phrase)
		phrase++;
	if (!chars_all(text + phrase, end - phrase, CHARS_TEXT))
		return refuse(502, REASON_UPSTREAM_HEADER);
	head->minor = (uint8_t)(text[7] - '0');
	head->status = (uint16_t)((text[code] - '0') * 100 + (text[code + 1] - '0') * 10 +
				  (text[code + 2] - '0'));
	head->reason_phrase =
		(struct http_span){ (uint16_t)(off + phrase), (uint16_t)(end - phrase) };
	return fine;
}
