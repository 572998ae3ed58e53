/* SPDX-License-Identifier: Apache-2.0 */
#include "tools/gwtool_badge.h"

#include <errno.h>
#include <stdlib.h>

struct gwtool_shown *gwtool_badge_take(struct gwtool_badge *badge)
{
	struct gwtool_shown *shown;

	pthread_mutex_lock(&badge->lock);
	shown = badge->shown;
	if (shown)
		shown->n_users++;
	pthread_mutex_unlock(&badge->lock);
	return shown;
}

void gwtool_badge_give(struct gwtool_badge *badge, struct gwtool_shown *shown)
{
	bool last = false;

	if (!shown)
		return;
	pthread_mutex_lock(&badge->lock);
	GW_ASSERT(shown->n_users > 0);
	last = --shown->n_users == 0;
	pthread_mutex_unlock(&badge->lock);
	if (!last)
		return;
	tls_credentials_free(shown->credentials);
	free(shown);
}

static void show(struct gwtool_badge *badge, struct gwtool_shown *shown)
{
	struct gwtool_shown *before;

	pthread_mutex_lock(&badge->lock);
	before = badge->shown;
	badge->shown = shown;
	pthread_mutex_unlock(&badge->lock);
	gwtool_badge_give(badge, before);
}

int gwtool_badge_read(struct gwtool_badge *badge, struct tls_refusal *refusal)
{
	const struct tls_entry entry = { .pair = { .cert_file = badge->cert,
						   .key_file = badge->key },
					 .client_ca = badge->client_ca,
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
	show(badge, shown);
	return 0;
}

void gwtool_badge_free(struct gwtool_badge *badge)
{
	show(badge, NULL);
}
