/* SPDX-License-Identifier: Apache-2.0 */
#include "core/server/plain_document.h"

#include "core/document/form.h"
#include "policy/table.h"

static struct slice protocol_of(const struct config *config)
{
	static const struct slice names[] = {
		[FORM_HTTP] = SLICE_INIT("http"),
		[FORM_HTTPS] = SLICE_INIT("https"),
		[FORM_H2C] = SLICE_INIT("h2c"),
		[FORM_H2] = SLICE_INIT("h2"),
	};

	return names[config_scheme(config)];
}

static void pack_address(struct pack *p, struct slice address)
{
	pack_map(p, 1);
	pack_entry_text(p, "address", address);
}

static void pack_endpoints(struct pack *p, const struct plain_policy_options *opt)
{
	const struct config *first = opt->first;
	char text[POLICY_HOST_TEXT_MAX + 16];

	pack_key(p, "endpoints");
	if (first->n_upstreams == 0 && opt->demo) {
		pack_list(p, 1);
		pack_address(p, slice_make(text, ring_addr_format(opt->demo, text)));
		return;
	}
	pack_list(p, first->n_upstreams);
	for (uint32_t i = 0; i < first->n_upstreams; i++)
		pack_address(p, plain_policy_authority(&first->upstreams[i].url, text));
}

static void pack_span(struct pack *p, const char *key, uint64_t ns)
{
	char text[32];
	struct writer w = writer_make(text, sizeof(text));

	form_put_duration(&w, ns);
	GW_ASSERT(!w.overflow);
	pack_entry_text(p, key, writer_slice(&w));
}

static void pack_timeouts(struct pack *p, const struct config *now)
{
	pack_key(p, "timeouts");
	pack_map(p, 5);
	pack_span(p, "connect", now->timeouts.connect_ns);
	pack_span(p, "response_head", now->timeouts.response_head_ns);
	pack_span(p, "idle", now->timeouts.body_idle_ns);
	pack_span(p, "write_stall", now->timeouts.write_stall_ns);
	pack_span(p, "tunnel_idle", now->timeouts.tunnel_idle_ns);
}

static void pack_pool(struct pack *p, const struct config *now)
{
	pack_key(p, "pool");
	pack_map(p, 3);
	pack_entry_u64(p, "max_idle", now->pool.max_idle_per_upstream);
	pack_span(p, "idle_timeout", now->pool.idle_ns);
	if (now->pool.max_requests)
		pack_entry_u64(p, "max_requests", now->pool.max_requests);
	else
		pack_entry_text(p, "max_requests", SLICE("off"));
}

static void pack_service(struct pack *p, const struct plain_policy_options *opt)
{
	pack_key(p, "services");
	pack_map(p, 1);
	pack_key(p, "default");
	pack_map(p, 4);
	pack_entry_text(p, "protocol", protocol_of(opt->first));
	pack_endpoints(p, opt);
	pack_timeouts(p, opt->now);
	pack_pool(p, opt->now);
}

static void pack_match(struct pack *p, const struct config *now)
{
	pack_key(p, "match");
	pack_map(p, 1);
	pack_key(p, "hosts");
	pack_list(p, now->n_allowed_hosts);
	for (uint32_t i = 0; i < now->n_allowed_hosts; i++)
		pack_text(p, now->allowed_hosts[i]);
}

static void pack_upgrades(struct pack *p, const struct config *now)
{
	pack_key(p, "upgrades");
	if (!(now->upgrades & POLICY_UPGRADE_WEBSOCKET)) {
		pack_text(p, SLICE("none"));
		return;
	}
	pack_list(p, 1);
	pack_text(p, SLICE("websocket"));
}

static void pack_route(struct pack *p, const struct plain_policy_options *opt)
{
	pack_key(p, "routes");
	pack_list(p, 1);
	pack_map(p, 5);
	pack_entry_text(p, "name", SLICE("default"));
	pack_entry_text(p, "service", SLICE("default"));
	pack_match(p, opt->now);
	pack_entry_text(p, "max_body", SLICE("off"));
	pack_upgrades(p, opt->now);
}

void plain_document_pack(const struct plain_policy_options *opt, struct pack *p)
{
	pack_service(p, opt);
	pack_route(p, opt);
}
