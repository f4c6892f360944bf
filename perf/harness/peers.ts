/** nginx, haproxy and Envoy as subjects: one worker each, plain proxying with kept-alive upstream connections. */
import { spawnSync } from 'node:child_process'
import { findEnvoy, installEnvoy } from './envoy.ts'
import { dubboProxy, envoyBootstrap, httpManager } from './envoy-config.ts'
import { freePort, type Launched, type Sandbox, waitForPort } from './sandbox.ts'
import type { Running, Subject } from './subject.ts'

/** Peers by name, in the order in which they are shown. */
export const PEER_NAMES = ['nginx', 'haproxy', 'envoy'] as const

/** Finds the peers: those named, or all that are installed when `names` is null. A missing one is only told. */
export function findPeers(names: readonly string[] | null, progress: (line: string) => void): Subject[] {
  const found: Subject[] = []
  for (const name of names ?? PEER_NAMES) {
    const peer = findPeer(name, names !== null, progress)
    if (peer !== null) found.push(peer)
    else progress(`${name} is not installed and is left out`)
  }
  return found
}

function findPeer(name: string, isAskedFor: boolean, progress: (line: string) => void): Subject | null {
  if (name === 'nginx') return peer('nginx', versionOf('nginx', ['-v'], /nginx\/(\S+)/), startNginx)
  if (name === 'haproxy')
    return peer('haproxy', versionOf('haproxy', ['-v'], /version (\d[\d.]+)/i), startHaproxy)
  if (name !== 'envoy') throw new Error(`unknown peer ${name}; known are ${PEER_NAMES.join(', ')}`)
  return envoyPeer(httpManager(), isAskedFor, progress)
}

/** Envoy with its proxy for Dubbo: nothing, or that one. It is left out when `names` does not hold it. */
export function findDubboPeer(names: readonly string[] | null, progress: (line: string) => void): Subject[] {
  if (names !== null && !names.includes('envoy')) return []
  const envoy = envoyPeer(dubboProxy(), names !== null, progress)
  if (envoy === null) progress('envoy is not installed and is left out')
  return envoy === null ? [] : [envoy]
}

/** Envoy with one network filter; null when it is not installed. */
function envoyPeer(filter: object, isAskedFor: boolean, progress: (line: string) => void): Subject | null {
  const binary = findEnvoy() ?? (isAskedFor ? installEnvoy(progress) : null)
  if (binary === null) return null
  const version = versionOf(binary, ['--version'], /version: \w+\/([\d.]+)/)
  return peer('envoy', version, (sandbox, port, backendPort) => {
    const bootstrap = envoyBootstrap(port, backendPort, filter)
    const file = sandbox.write(`envoy-${port}.json`, JSON.stringify(bootstrap))
    const args = ['-c', file, '--concurrency', '1', '--disable-hot-restart', '-l', 'error']
    return sandbox.launch([binary, ...args], { name: 'envoy', role: 'proxy' })
  })
}

type Start = (sandbox: Sandbox, port: number, backendPort: number) => Launched

function peer(name: string, version: string | null, start: Start): Subject | null {
  if (version === null) return null
  return {
    name,
    version,
    async start(sandbox, backendPort): Promise<Running> {
      const port = await freePort()
      const process = start(sandbox, port, backendPort)
      await waitForPort(port, process)
      return { name, port, process }
    },
  }
}

/** The version a program prints, null when it cannot be run. */
export function versionOf(command: string, args: string[], pattern: RegExp): string | null {
  const { stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8' })
  if (error) return null
  return pattern.exec(`${stdout}${stderr}`)?.[1] ?? 'unknown'
}

/** The parts of an nginx configuration that proxy and backend share. */
export function nginxConfig(sandbox: Sandbox, name: string, http: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `  ${kind}_temp_path ${sandbox.path(`${name}-${kind}`)};`)
    .join('\n')
  return `${process.getuid?.() === 0 ? 'user root;\n' : ''}daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid ${sandbox.path(`${name}.pid`)};
error_log stderr error;
events { worker_connections 16384; }
http {
  access_log off;
  keepalive_timeout 600s;
  keepalive_requests 1000000000;
${temporary}
${http}
}
`
}

/** Starts nginx with a finished configuration. */
export function launchNginx(sandbox: Sandbox, name: string, role: 'proxy' | 'load', http: string): Launched {
  const file = sandbox.write(`${name}.conf`, nginxConfig(sandbox, name, http))
  return sandbox.launch(['nginx', '-e', 'stderr', '-c', file, '-p', sandbox.directory], { name, role })
}

function startNginx(sandbox: Sandbox, port: number, backendPort: number): Launched {
  const http = `  upstream out { server 127.0.0.1:${backendPort}; keepalive 128; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / { proxy_pass http://out; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }`
  return launchNginx(sandbox, `nginx-${port}`, 'proxy', http)
}

function startHaproxy(sandbox: Sandbox, port: number, backendPort: number): Launched {
  const file = sandbox.write(
    `haproxy-${port}.cfg`,
    `global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 600s
  timeout server 600s
  http-reuse always
frontend in
  bind 127.0.0.1:${port}
  default_backend out
backend out
  server one 127.0.0.1:${backendPort}
`,
  )
  return sandbox.launch(['haproxy', '-db', '-f', file], { name: 'haproxy', role: 'proxy' })
}
