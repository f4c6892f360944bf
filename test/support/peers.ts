/** Servers and proxies that others wrote, and a business process, as processes that tests may kill and start again. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import { findEnvoy } from '../../perf/harness/envoy.ts'
import { freePort, missing } from './http.ts'

const BUSINESS = fileURLToPath(new URL('business-process.ts', import.meta.url))
const START_LIMIT_MS = 15_000

const envoy = findEnvoy()

/** Why a test with a peer cannot run here, false when it can. */
export const MISSING = {
  envoy:
    envoy === null &&
    'Envoy is not installed: put it on the PATH, name it in $ENVOY, or let `npm run perf` fetch it',
  haproxy: missing('haproxy', ['-v']),
  nginx: missing('nginx', ['-v']),
  python: missing('python3'),
  curl: missing('curl'),
  wrk: missing('wrk', ['-v']),
  ab: missing('ab', ['-V']),
} as const

/** The first reason, false when every one of the programs is here. */
export function missingAny(...names: (keyof typeof MISSING)[]): string | false {
  return names.map((name) => MISSING[name]).find((reason) => reason !== false) ?? false
}

/** A server in one process, on one port for as long as the test runs. Ends with the test. */
export class Peer {
  readonly port: number
  readonly #command: readonly string[]
  readonly #folder: string
  #child: ChildProcess | null = null
  #output = ''

  constructor(port: number, command: readonly string[], folder: string) {
    this.port = port
    this.#command = command
    this.#folder = folder
  }

  /** Starts it (again) and waits until it accepts. */
  async start(): Promise<void> {
    const [program = '', ...args] = this.#command
    const child = spawn(program, args, { cwd: this.#folder, stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    this.#output = ''
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (this.#output += text))
    await this.#untilItAccepts(child)
  }

  /** What `kill -9` does: nobody is told. */
  async kill(): Promise<void> {
    const child = this.#child
    this.#child = null
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  async #untilItAccepts(child: ChildProcess): Promise<void> {
    const untilMs = performance.now() + START_LIMIT_MS
    while (!(await accepts(this.port))) {
      if (child.exitCode !== null || performance.now() > untilMs)
        throw new Error(`${this.#command.join(' ')} does not accept on ${this.port}:\n${this.#output}`)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

/** Writes `files` to a folder, starts `command` there and waits for its port. */
async function startPeer(
  t: Test,
  port: number,
  command: (folder: string) => readonly string[],
  files: Record<string, string> = {},
): Promise<Peer> {
  const folder = await mkdtemp(path.join(tmpdir(), 'meshgate-peer-'))
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(folder, name), text)
  const peer = new Peer(port, command(folder), folder)
  t.teardown(async () => {
    await peer.kill()
    await rm(folder, { recursive: true, force: true })
  })
  await peer.start()
  return peer
}

/** A business process on `node:http`; see business-process.ts. */
export async function startNode(t: Test): Promise<Peer> {
  const port = await freePort()
  return startPeer(t, port, () => [process.execPath, BUSINESS, `${port}`])
}

/** Python's own server over files `name → text`. */
export async function startPython(t: Test, files: Record<string, string>, version: string): Promise<Peer> {
  const port = await freePort()
  const args = ['-m', 'http.server', `${port}`, '--bind', '127.0.0.1', '--protocol', version]
  return startPeer(t, port, () => ['python3', ...args], files)
}

/** nginx in a single process, so that killing it ends it. */
function startNginx(t: Test, port: number, http: string): Promise<Peer> {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `  ${kind}_temp_path ${kind};`,
  )
  const config = `${process.getuid?.() === 0 ? 'user root;\n' : ''}daemon off;
master_process off;
pid nginx.pid;
error_log stderr crit;
events { worker_connections 4096; }
http {
  access_log off;
  client_max_body_size 8m;
  client_body_buffer_size 4m;
  map $http_upgrade $connection_header { default upgrade; '' ''; }
${temporary.join('\n')}
${http}
}
`
  const command = (folder: string): string[] => ['nginx', '-e', 'stderr', '-p', folder, '-c', 'nginx.conf']
  return startPeer(t, port, command, { 'nginx.conf': config })
}

/**
 * nginx as a business process: `/` answers its own text, `/echo` the body it was sent, `/store/` keeps what is PUT there,
 * `/big` is a MiB of zeros, `/chat` goes to `chatPort`. Closes each connection after `keepaliveRequests` requests.
 */
export async function startNginxBusiness(
  t: Test,
  chatPort: number,
  keepaliveRequests = 1_000_000,
): Promise<Peer> {
  const port = await freePort()
  return startNginx(
    t,
    port,
    `  keepalive_requests ${keepaliveRequests};
  server {
    listen 127.0.0.1:${port} backlog=1024;
    location = / { default_type text/plain; return 200 "hello from nginx"; }
    location = /blank { default_type text/plain; return 200 "BODY"; }
    location = /echo {
      proxy_method GET;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
      proxy_set_header Transfer-Encoding "";
      proxy_set_header Expect "";
      proxy_pass http://127.0.0.1:${port}/blank;
      sub_filter BODY $request_body;
      sub_filter_types *;
      add_header x-framing "$http_content_length$http_transfer_encoding";
    }
    location /store/ { root .; dav_methods PUT DELETE; create_full_put_path on; }
    location = /chat {
      proxy_pass http://127.0.0.1:${chatPort};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_header;
    }
  }`,
  )
}

/** nginx as a proxy with kept-alive connections, in front of `port`. */
export async function startNginxProxy(t: Test, backend: number): Promise<Peer> {
  const port = await freePort()
  return startNginx(
    t,
    port,
    `  upstream out { server 127.0.0.1:${backend} max_fails=0; keepalive 64; }
  server {
    listen 127.0.0.1:${port} backlog=1024;
    location / {
      proxy_pass http://out;
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_buffering off;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_header;
    }
  }`,
  )
}

/** haproxy that tells each connection's client by a PROXY protocol header, version 2. */
export async function startHaproxy(t: Test, backend: number): Promise<Peer> {
  const port = await freePort()
  const config = `defaults
  mode http
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  timeout tunnel 30s
  http-reuse safe
frontend in
  bind 127.0.0.1:${port}
  default_backend out
backend out
  server gateway 127.0.0.1:${backend} send-proxy-v2
`
  return startPeer(t, port, () => ['haproxy', '-db', '-q', '-f', 'haproxy.cfg'], { 'haproxy.cfg': config })
}

/** Envoy with one listener and one cluster. Upgrades pass. */
export async function startEnvoy(t: Test, backend: number): Promise<Peer> {
  const port = await freePort()
  const args = ['-c', 'envoy.json', '--concurrency', '1', '--disable-hot-restart', '-l', 'error']
  const files = { 'envoy.json': JSON.stringify(envoyBootstrap(port, backend)) }
  return startPeer(t, port, () => [envoy as string, ...args], files)
}

function envoyBootstrap(port: number, backend: number): object {
  const filters = 'type.googleapis.com/envoy.extensions.filters'
  const circuit = { max_connections: 1024, max_pending_requests: 4096, max_requests: 4096 }
  const manager = {
    '@type': `${filters}.network.http_connection_manager.v3.HttpConnectionManager`,
    stat_prefix: 'in',
    http_protocol_options: { accept_http_10: true },
    upgrade_configs: [{ upgrade_type: 'websocket' }],
    route_config: {
      virtual_hosts: [
        { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'out' } }] },
      ],
    },
    http_filters: [
      { name: 'envoy.filters.http.router', typed_config: { '@type': `${filters}.http.router.v3.Router` } },
    ],
  }
  const cluster = {
    name: 'out',
    type: 'STATIC',
    connect_timeout: '5s',
    circuit_breakers: { thresholds: [circuit] },
    load_assignment: {
      cluster_name: 'out',
      endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress(backend) } }] }],
    },
  }
  const chain = {
    filters: [{ name: 'envoy.filters.network.http_connection_manager', typed_config: manager }],
  }
  return {
    static_resources: {
      listeners: [{ name: 'in', address: socketAddress(port), filter_chains: [chain] }],
      clusters: [cluster],
    },
  }
}

function socketAddress(port: number): object {
  return { socket_address: { address: '127.0.0.1', port_value: port } }
}
