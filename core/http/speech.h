/* SPDX-License-Identifier: Apache-2.0 */
/*
 * speech.h - what a peer speaks, by the first bytes of what it says.
 *
 * For peers that were expected to speak something else: whoever configured http
 * for a TLS port, or https for a clear one, is told so, not that an answer was
 * malformed.
 *
 * Threads: pure functions.
 */
#pragma once

#include <stdint.h>

#include "core/base/slice.h"

enum http_speech {
	HTTP_SPEECH_UNKNOWN, /* None of these. */
	HTTP_SPEECH_SHORT,   /* It may yet become one of the following. */
	HTTP_SPEECH_HTTP1,   /* The status line of a response (RFC 9112 4). */
	HTTP_SPEECH_HTTP2,   /* A server's first frame: SETTINGS, or GOAWAY (RFC 9113 3.4, 6.8). */
	HTTP_SPEECH_TLS,     /* A record with a handshake or an alert (RFC 8446 5.1). */
};

enum { HTTP_SPEECH_MAX = 9 }; /* After so many bytes it is decided. */

enum http_speech http_speech_of(struct slice said);
