# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests stand on: the gateway, upstreams, clients, a strict reader of HTTP/1.
"""
