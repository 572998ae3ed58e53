/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/gwtool_credentials.h"

#include <errno.h>
#include <stdlib.h>

struct gwtool_shown *gwtool_credentials_take(struct gwtool_credentials *credentials)
{
	struct gwtool_shown *shown;

	pthread_mutex_lock(&credentials->lock);
	shown = credentials->shown;
	if (shown)
		shown->n_users++;
	pthread_mutex_unlock(&credentials->lock);
	return shown;
}

void gwtool_credentials_give(struct gwtool_credentials *credentials, struct gwtool_shown *shown)
{
	bool last = false;

	if (!shown)
		return;
	pthread_mutex_lock(&credentials->lock);
	GW_ASSERT(shown->n_users > 0);
	last = --shown->n_users == 0;
	pthread_mutex_unlock(&credentials->lock);
	if (!last)
		return;
	tls_credentials_free(shown->credentials);
	free(shown);
}

static void show(struct gwtool_credentials *credentials, struct gwtool_shown *shown)
{
	struct gwtool_shown *before;

	pthread_mutex_lock(&credentials->lock);
	before = credentials->shown;
	credentials->shown = shown;
	pthread_mutex_unlock(&credentials->lock);
	gwtool_credentials_give(credentials, before);
}

int gwtool_credentials_read(struct gwtool_credentials *credentials, struct tls_refusal *refusal)
{
	const struct tls_entry entry = { .pair = { .cert_file = credentials->cert,
						   .key_file = credentials->key },
					 .client_ca = credentials->client_ca,
					 .client_auth = TLS_CLIENT_REQUIRED };
	const struct tls_credentials_options options = { .entries = &entry,
							 .n_entries = 1,
							 .http1 = true };
	struct gwtool_shown *shown = calloc(1, sizeof(*shown));
	int r;

	if (!shown)
		return -ENOMEM;
	shown->n_users = 1;
	r = tls_credentials_read(&options, refusal, &shown->credentials);
	if (r < 0) {
		free(shown);
		return r;
	}
	show(credentials, shown);
	return 0;
}

void gwtool_credentials_free(struct gwtool_credentials *credentials)
{
	show(credentials, NULL);
}
