/** Envoy's configuration: one listener with one network filter, one cluster. */
import { SERVICE } from '../load/order.ts'

const TYPES = 'type.googleapis.com/envoy.extensions.filters'

/** The network filter that proxies HTTP. */
export function httpManager(): object {
  const router = { '@type': `${TYPES}.http.router.v3.Router` }
  return {
    name: 'envoy.filters.network.http_connection_manager',
    typed_config: {
      '@type': `${TYPES}.network.http_connection_manager.v3.HttpConnectionManager`,
      stat_prefix: 'in',
      route_config: {
        virtual_hosts: [
          { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'out' } }] },
        ],
      },
      http_filters: [{ name: 'envoy.filters.http.router', typed_config: router }],
    },
  }
}

/** The network filter that proxies Dubbo: every method of the asked service. */
export function dubboProxy(): object {
  return {
    name: 'envoy.filters.network.dubbo_proxy',
    typed_config: {
      '@type': `${TYPES}.network.dubbo_proxy.v3.DubboProxy`,
      stat_prefix: 'in',
      protocol_type: 'Dubbo',
      serialization_type: 'Hessian2',
      route_config: [
        {
          name: 'all',
          interface: SERVICE,
          routes: [
            { match: { method: { name: { safe_regex: { regex: '.*' } } } }, route: { cluster: 'out' } },
          ],
        },
      ],
    },
  }
}

/** The whole bootstrap. */
export function envoyBootstrap(port: number, backendPort: number, filter: object): object {
  return {
    static_resources: {
      listeners: [{ name: 'in', address: socketAddress(port), filter_chains: [{ filters: [filter] }] }],
      clusters: [
        {
          name: 'out',
          type: 'STATIC',
          connect_timeout: '5s',
          load_assignment: {
            cluster_name: 'out',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress(backendPort) } }] }],
          },
        },
      ],
    },
  }
}

function socketAddress(port: number): object {
  return { socket_address: { address: '127.0.0.1', port_value: port } }
}
