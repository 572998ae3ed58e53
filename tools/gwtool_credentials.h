/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gwtool_credentials.h - what 'gwtool serve' shows its clients, and may be told to read again.
 *
 * A visit takes what is shown at its beginning and gives it back at its end; what was replaced
 * meanwhile is freed by its last user.
 *
 * Threads: any.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/base/gw_assert.h"
#include "core/crypto/tls_credentials.h"

/* One reading of the files. */
struct gwtool_shown {
	struct tls_credentials *credentials;
	uint32_t n_users; /* Under the lock; being shown counts as one. */
};

struct gwtool_credentials {
	const char *cert, *key, *client_ca; /* Files; all or none: in the clear. */
	pthread_mutex_t lock;
	struct gwtool_shown *shown; /* NULL: none was read. */
};

/* 0; -EINVAL, and refusal->why; or -errno. What was shown before stays when it fails. */
GW_MUST_USE int gwtool_credentials_read(struct gwtool_credentials *credentials,
					struct tls_refusal *refusal);
/* None is shown any more. */
void gwtool_credentials_free(struct gwtool_credentials *credentials);

/* NULL: in the clear. */
struct gwtool_shown *gwtool_credentials_take(struct gwtool_credentials *credentials);
void gwtool_credentials_give(struct gwtool_credentials *credentials, struct gwtool_shown *shown);
