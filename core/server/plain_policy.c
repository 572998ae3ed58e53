/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server/plain_policy.h"

#include <string.h>
#include <sys/socket.h>

#include "core/base/writer.h"
#include "core/server/certs.h"

static uint16_t share(uint64_t total, uint32_t n_workers)
{
	uint64_t each = (total + n_workers - 1) / n_workers;

	return (uint16_t)(each < UINT16_MAX ? each : UINT16_MAX);
}

static uint8_t protocol_of(const struct config *config)
{
	static const uint8_t protocols[] = {
		[FORM_HTTP] = POLICY_HTTP,
		[FORM_HTTPS] = POLICY_HTTPS,
		[FORM_H2C] = POLICY_H2C,
		[FORM_H2] = POLICY_H2,
	};

	return protocols[config_scheme(config)];
}

/* --- Endpoints. ------------------------------------------------------------------------------ */

static struct policy_addr policy_addr_of(const struct ring_addr *addr)
{
	struct policy_addr out = { .family = addr->family,
				   .path_len = addr->path_len,
				   .port = addr->port };

	if (addr->family == AF_UNIX)
		memcpy(out.path, addr->path, addr->path_len);
	else
		memcpy(out.ip, addr->ip, sizeof(out.ip));
	return out;
}

struct slice plain_policy_authority(const struct form_url *url,
				    char text[POLICY_HOST_TEXT_MAX + 16])
{
	struct writer out = writer_make(text, POLICY_HOST_TEXT_MAX + 16);
	bool v6 = slice_find(url->host, ':') != SLICE_NONE;

	if (url->path.len) {
		writer_lit(&out, "unix:");
		writer_put(&out, url->path);
		return writer_slice(&out);
	}
	if (v6)
		writer_char(&out, '[');
	writer_put(&out, url->host);
	if (v6)
		writer_char(&out, ']');
	writer_char(&out, ':');
	writer_u64(&out, url->port);
	return writer_slice(&out);
}

static struct draft_endpoint *add(struct plain_policy *policy, struct slice authority)
{
	struct draft_endpoint *endpoint = &policy->endpoints[policy->service.n_endpoints];

	endpoint->slot = (uint16_t)policy->service.n_endpoints++;
	endpoint->authority = slice_take(authority, POLICY_HOST_TEXT_MAX);
	return endpoint;
}

static void add_upstream(struct plain_policy *policy, const struct config_upstream *upstream,
			 struct slice server_name)
{
	char *text = policy->authorities[policy->service.n_endpoints];
	struct slice authority = plain_policy_authority(&upstream->url, text);
	struct draft_endpoint *endpoint = add(policy, authority);
	struct ring_addr addr;

	endpoint->server_name = server_name.len ? server_name : upstream->url.host;
	if (ring_addr_parse(authority, &addr) == 0) {
		endpoint->addrs[0] = policy_addr_of(&addr);
		endpoint->n_addrs = 1;
		return;
	}
	endpoint->host = upstream->url.host;
	endpoint->port = upstream->url.port;
}

static void add_demo(struct plain_policy *policy, const struct ring_addr *demo)
{
	char *text = policy->authorities[0];
	struct draft_endpoint *endpoint =
		add(policy, slice_make(text, ring_addr_format(demo, text)));

	endpoint->addrs[0] = policy_addr_of(demo);
	endpoint->n_addrs = 1;
}

static void add_endpoints(struct plain_policy *policy, const struct plain_policy_options *opt)
{
	for (uint32_t i = 0; i < opt->first->n_upstreams; i++)
		add_upstream(policy, &opt->first->upstreams[i], opt->now->upstream_tls.server_name);
	if (opt->first->n_upstreams == 0 && opt->demo)
		add_demo(policy, opt->demo);
}

/* --- The whole. ------------------------------------------------------------------------------ */

static struct policy_timeouts timeouts_of(const struct config *config)
{
	return (struct policy_timeouts){
		.connect_ns = config->timeouts.connect_ns,
		.response_head_ns = config->timeouts.response_head_ns,
		.body_idle_ns = config->timeouts.body_idle_ns,
		.write_stall_ns = config->timeouts.write_stall_ns,
		.pool_idle_ns = config->pool.idle_ns,
		.tunnel_idle_ns = config->timeouts.tunnel_idle_ns,
	};
}

void plain_policy_make(const struct plain_policy_options *opt, struct plain_policy *ret_policy)
{
	struct plain_policy *policy = ret_policy;
	const struct config *now = opt->now;

	*policy = (struct plain_policy){
		.service = { .name = SLICE_INIT("default"),
			     .endpoints = policy->endpoints,
			     .max_idle = share(now->pool.max_idle_per_upstream, opt->n_workers),
			     .max_idle_all = share(now->pool.max_idle, opt->n_workers),
			     .max_requests = (uint32_t)now->pool.max_requests,
			     .protocol = protocol_of(opt->first),
			     .trust = CERTS_UPSTREAM_TRUST,
			     .timeouts = timeouts_of(now) },
		.route = { .name = SLICE_INIT("default"),
			   .match = { .hosts = now->allowed_hosts,
				      .n_hosts = now->n_allowed_hosts,
				      .path = SLICE_INIT("/") },
			   .max_body = UINT64_MAX,
			   .retry = true,
			   .upgrades = (uint8_t)now->upgrades },
		.draft = { .generation = opt->generation,
			   .enabled = true,
			   .services = &policy->service,
			   .n_services = 1,
			   .routes = &policy->route,
			   .n_routes = 1 },
	};
	add_endpoints(policy, opt);
}
