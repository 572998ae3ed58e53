/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/fault.h"

uint32_t fault_line(const char *base, uint32_t at)
{
	const char *before = memrchr(base, '\n', at);

	return before ? (uint32_t)(before + 1 - base) : 0;
}

/* That a length is empty shows with the first byte of the line behind it. */
uint32_t fault_framing_line(const char *base, uint32_t at)
{
	uint32_t line = fault_line(base, at);

	if (memchr(base + line, ':', at + 1 - line))
		return line;
	GW_ASSERT(line > 0);
	return fault_line(base, line - 1);
}

bool fault_is_fold(char first)
{
	return first == ' ' || first == '\t';
}

enum reason fault_grammar(const struct http_head *head, const char *base, uint32_t at)
{
	GW_ASSERT(at > 0);
	if (base[at] == '\n' && base[at - 1] != '\r')
		return REASON_BARE_LF;
	if (fault_is_fold(base[fault_line(base, at)]) && head->n_fields > 0)
		return REASON_OBS_FOLD;
	return REASON_BAD_HEADER;
}

/* Has a field of that id come in a line before the one at 'line'? */
static bool came_before(const struct http_head *head, uint32_t line, enum http_field_id id)
{
	for (uint32_t i = 0; i < head->n_fields && head->fields[i].name.off < line; i++)
		if (http_field_id(http_text(head, head->fields[i].name)) == id)
			return true;
	return false;
}

enum reason fault_framing(const struct http_head *head, uint32_t line, struct slice text)
{
	bool coding = came_before(head, line, HTTP_FIELD_TRANSFER_ENCODING);
	bool length = came_before(head, line, HTTP_FIELD_CONTENT_LENGTH);
	struct slice name, value;

	slice_split(text, ':', &name, &value);
	value = slice_trim(value);
	if (http_field_id(name) == HTTP_FIELD_TRANSFER_ENCODING) {
		if (head->minor == 0)
			return REASON_TE_HTTP10;
		return length && value.len > 0 ? REASON_CL_TE_CONFLICT : REASON_TE_INVALID;
	}
	if (coding)
		return head->minor == 0 ? REASON_TE_HTTP10 : REASON_CL_TE_CONFLICT;
	return length || slice_find(value, ',') != SLICE_NONE ? REASON_CL_DUPLICATE
							      : REASON_CL_INVALID;
}
