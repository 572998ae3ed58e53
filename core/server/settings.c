/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server/settings.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LINGER_NS        (2 * GW_NS_PER_S) /* For a reply to arrive before the reset, RFC 9112 9.6. */
#define HEADS_MIN        64u
#define H2_STREAMS_LEAST 4096u

static void fill_limits(struct h1_limits *limits, const struct config *config)
{
	*limits = h1_limits_default;
	limits->head_max = (uint32_t)config->limits.head_bytes;
	limits->fields_max = (uint32_t)config->limits.head_fields;
	if (limits->field_line_max > limits->head_max)
		limits->field_line_max = limits->head_max;
	if (limits->request_line_max > limits->head_max)
		limits->request_line_max = limits->head_max;
}

static bool speaks_h2(const struct config *config)
{
	for (uint32_t i = 0; i < config->n_listeners; i++)
		if (config->listeners[i].protocols & CONFIG_HTTP2)
			return true;
	return config_has_policy(config) || config_scheme(config) == FORM_H2 ||
	       config_scheme(config) == FORM_H2C;
}

/* Many connections have few streams, few have many. */
static uint32_t h2_streams(const struct environment_capacity *capacity)
{
	return capacity->clients > H2_STREAMS_LEAST ? capacity->clients : H2_STREAMS_LEAST;
}

int settings_create(struct config *config, struct certs *certs,
		    const struct environment_capacity *capacity, struct slice via,
		    struct settings **ret_settings)
{
	struct settings *s = calloc(1, sizeof(*s));

	if (!s) {
		certs_free(certs);
		config_free(config);
		return -ENOMEM;
	}
	s->config = config;
	s->certs = certs;
	s->options = (struct proxy_options){
		.head_ns = config->timeouts.head_ns,
		.keepalive_ns = config->timeouts.keepalive_ns,
		.write_stall_ns = config->timeouts.write_stall_ns,
		.handshake_ns = config->timeouts.tls_handshake_ns,
		.linger_ns = LINGER_NS,
		.tunnel_grace_ns = config->timeouts.tunnel_grace_ns,
		.splice_min = config->splice.enabled ? config->splice.min : UINT64_MAX,
		.clients_max = capacity->clients,
		.upstreams_max = capacity->upstreams,
		.heads_max = capacity->clients / 4 > HEADS_MIN ? capacity->clients / 4 : HEADS_MIN,
		.sealed_max = (certs_have_listeners(certs) ? capacity->clients : 0) +
			      (certs && certs->n_trusts ? capacity->upstreams : 0),
		.certs = certs,
		.h2_streams_max = speaks_h2(config) ? h2_streams(capacity) : 0,
		.h2_total_max = (uint32_t)config->limits.h2_streams,
		.per_client = (uint32_t)config->limits.per_client,
		.handshakes = (uint32_t)config->limits.tls_handshakes,
		.log_sample = config->access_log.path.len ? (uint32_t)config->access_log.sample : 0,
		.health_path = config->health_path,
		.via = via,
	};
	fill_limits(&s->options.limits, config);
	*ret_settings = s;
	return 0;
}

void settings_free(struct settings *s)
{
	certs_free(s->certs);
	config_free(s->config);
	free(s);
}

static struct peer_net *copy_nets(const struct config_listener *from, struct worker_listener *to,
				  struct peer_net *nets)
{
	to->how = (struct listener_spec){ .trusted = nets,
					  .n_trusted = from->n_trusted_proxies,
					  .h1 = from->protocols & CONFIG_HTTP1,
					  .h2 = from->protocols & CONFIG_HTTP2 };
	for (uint32_t i = 0; i < from->n_trusted_proxies; i++, nets++) {
		nets->family = from->trusted_proxies[i].family;
		nets->prefix = from->trusted_proxies[i].bits;
		memcpy(nets->ip, from->trusted_proxies[i].ip, sizeof(nets->ip));
	}
	return nets;
}

int settings_listeners(const struct config *config, struct worker_listener **ret_listeners)
{
	struct worker_listener *listeners;
	struct peer_net *nets;
	size_t n_nets = 0;

	GW_ASSERT(config->n_listeners > 0); /* config_load() presets one. */
	for (uint32_t i = 0; i < config->n_listeners; i++)
		n_nets += config->listeners[i].n_trusted_proxies;
	listeners = calloc(1, config->n_listeners * sizeof(*listeners) + n_nets * sizeof(*nets));
	if (!listeners)
		return -ENOMEM;
	nets = (struct peer_net *)(listeners + config->n_listeners);
	for (uint32_t i = 0; i < config->n_listeners; i++) {
		int r = ring_addr_parse(config->listeners[i].address, &listeners[i].addr);

		GW_ASSERT(r == 0); /* config_load() has checked it. */
		nets = copy_nets(&config->listeners[i], &listeners[i], nets);
	}
	*ret_listeners = listeners;
	return 0;
}
