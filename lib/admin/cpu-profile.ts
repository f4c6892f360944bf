/** POST /cpu-profile */
import { setTimeout as delay } from 'node:timers/promises'
import { type AdminReply, type AdminRequest, content, type Endpoint, integerParameter } from './endpoint.ts'
import { claimProcess } from './exclusive.ts'

const MICROSECONDS_PER_SAMPLE = 1000

/** Profiles the process for `?seconds=` and sends the profile for Chromium's developer tools. Ends at once when the caller goes away. */
export const cpuProfile: Endpoint = {
  method: 'POST',
  path: '/cpu-profile',
  summary: 'a CPU profile of the next ?seconds=10 (1 to 60)',
  async handle(request) {
    const seconds = integerParameter(request, 'seconds', { min: 1, max: 60, fallback: 10 })
    const release = claimProcess('CPU profile')
    try {
      request.log.info({ seconds }, 'CPU profile asked for by the admin port')
      return await profile(request, seconds)
    } finally {
      release()
    }
  },
}

async function profile(request: AdminRequest, seconds: number): Promise<AdminReply> {
  const { Session } = await import('node:inspector/promises')
  const session = new Session()
  session.connect()
  try {
    await session.post('Profiler.enable')
    await session.post('Profiler.setSamplingInterval', { interval: MICROSECONDS_PER_SAMPLE })
    await session.post('Profiler.start')
    await delay(seconds * 1000, undefined, { signal: request.signal() })
    const { profile } = await session.post('Profiler.stop')
    return content('application/json; charset=utf-8', JSON.stringify(profile), {
      'content-disposition': `attachment; filename="meshgate-${process.pid}.cpuprofile"`,
    })
  } finally {
    session.disconnect()
  }
}
