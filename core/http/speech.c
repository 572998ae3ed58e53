/* SPDX-License-Identifier: Apache-2.0 */
#include "core/http/speech.h"

#include <stdbool.h>
#include <stddef.h>

enum { FRAME_LENGTH_MAX = 16384, TYPE_SETTINGS = 4, TYPE_GOAWAY = 7 };

static uint8_t at(struct slice said, size_t i)
{
	return (uint8_t)said.ptr[i];
}

/*
 * The head of a first frame: a length that a frame may have before anything was agreed on, type,
 * flags, and the stream, which is that of the connection.
 */
static bool may_be_frame(struct slice said)
{
	bool settings;

	if (at(said, 0) != 0 || (said.len > 1 && at(said, 1) > FRAME_LENGTH_MAX >> 8))
		return false;
	if (said.len <= 3)
		return true;
	settings = at(said, 3) == TYPE_SETTINGS;
	if (!settings && at(said, 3) != TYPE_GOAWAY)
		return false;
	if (settings && ((uint32_t)at(said, 1) << 8 | at(said, 2)) % 6 != 0)
		return false;
	for (size_t i = 4; i < said.len && i < HTTP_SPEECH_MAX; i++)
		if (at(said, i) != 0)
			return false;
	return true;
}

static bool may_be_record(struct slice said)
{
	bool alert = at(said, 0) == 21, handshake = at(said, 0) == 22;

	return (alert || handshake) && (said.len < 2 || at(said, 1) == 3) &&
	       (said.len < 3 || at(said, 2) <= 4);
}

static bool may_be_status_line(struct slice said)
{
	struct slice name = SLICE("HTTP/1.");
	size_t n = said.len < name.len ? said.len : name.len;

	return slice_eq(slice_take(said, n), slice_take(name, n));
}

enum http_speech http_speech_of(struct slice said)
{
	if (said.len == 0)
		return HTTP_SPEECH_SHORT;
	if (may_be_status_line(said))
		return said.len < 7 ? HTTP_SPEECH_SHORT : HTTP_SPEECH_HTTP1;
	if (may_be_record(said))
		return said.len < 3 ? HTTP_SPEECH_SHORT : HTTP_SPEECH_TLS;
	if (may_be_frame(said))
		return said.len < HTTP_SPEECH_MAX ? HTTP_SPEECH_SHORT : HTTP_SPEECH_HTTP2;
	return HTTP_SPEECH_UNKNOWN;
}
