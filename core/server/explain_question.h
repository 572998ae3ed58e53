/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain_question.h - the request that is to be explained, as the command's arguments.
 *
 * Ownership: texts and fields are the arguments'; it stays where it was filled. Threads: the
 * control thread's.
 */
#pragma once

#include "core/crypto/tls_identity.h"
#include "core/document/document.h"
#include "core/server/control.h"

struct explain_question {
	struct slice method, url, client;
	const struct document_node *fields; /* A list of lines; NULL: none. */
	bool has_certificate;
	struct tls_identity
		identity;         /* What the client's certificate says of it: not to be freed. */
	char sans[TLS_SANS_SIZE]; /* Its names. */
};

/* Fills what is said. 0; or -EINVAL, and 'error' says what is wrong. */
GW_MUST_USE int explain_question_read(const struct document_node *args, struct explain_question *q,
				      struct control_error *error);

/* Fills 'error'; 'path' is the argument. -EINVAL. */
__attribute__((format(printf, 4, 5))) int explain_question_refuse(struct control_error *error,
								  const char *code,
								  const char *path,
								  const char *format, ...);
