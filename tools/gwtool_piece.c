/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/gwtool_piece.h"

static enum gwtool_piece_kind kind_of(struct slice text)
{
	static const struct slice files[] = { SLICE_INIT("FILE"), SLICE_INIT("OLD"),
					      SLICE_INIT("NEW") };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		if (slice_eq(text, files[i]))
			return GWTOOL_PIECE_FILE;
	if (slice_eq(text, SLICE("COMMAND")))
		return GWTOOL_PIECE_COMMAND;
	if (text.ptr[0] == '-')
		return GWTOOL_PIECE_FLAG;
	for (size_t i = 0; i < text.len; i++)
		if (text.ptr[i] < 'a' || text.ptr[i] > 'z')
			return GWTOOL_PIECE_OTHER;
	return GWTOOL_PIECE_WORD;
}

static bool is_between(char c)
{
	return c == ' ' || c == '[' || c == ']' || c == '|' || c == '.';
}

bool gwtool_piece_take(struct slice *rest, struct gwtool_piece *ret_piece)
{
	size_t n = 0;

	while (rest->len && is_between(rest->ptr[0]))
		*rest = slice_drop(*rest, 1);
	while (n < rest->len && !is_between(rest->ptr[n]))
		n++;
	if (n == 0)
		return false;
	ret_piece->text = slice_take(*rest, n);
	ret_piece->kind = kind_of(ret_piece->text);
	*rest = slice_drop(*rest, n);
	ret_piece->has_value = rest->len && rest->ptr[0] == ' ';
	return true;
}

bool gwtool_piece_has_value(const char *arguments, const char *flag)
{
	struct slice rest = slice_of(arguments);
	struct gwtool_piece piece;

	while (gwtool_piece_take(&rest, &piece))
		if (piece.kind == GWTOOL_PIECE_FLAG && slice_eq(piece.text, slice_of(flag)))
			return piece.has_value;
	return false;
}
