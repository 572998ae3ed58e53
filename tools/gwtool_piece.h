/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gwtool_piece.h - the arguments of a command as its help writes them, piece by piece.
 *
 * "--flag" is a flag, and takes a value when a blank is behind it; small letters are a word that is
 * said as it stands; FILE, OLD and NEW are files; COMMAND is one of ours.
 *
 * Threads: pure functions.
 */
#pragma once

#include <stdbool.h>

#include "core/base/slice.h"

enum gwtool_piece_kind {
	GWTOOL_PIECE_FLAG,
	GWTOOL_PIECE_WORD,
	GWTOOL_PIECE_FILE,
	GWTOOL_PIECE_COMMAND,
	GWTOOL_PIECE_OTHER,
};

struct gwtool_piece {
	enum gwtool_piece_kind kind;
	bool has_value; /* A flag. */
	struct slice text;
};

/* The next one of 'rest', or false: that was all. */
bool gwtool_piece_take(struct slice *rest, struct gwtool_piece *ret_piece);

/* Is it a flag among them, and does a value belong to it? */
bool gwtool_piece_has_value(const char *arguments, const char *flag);
