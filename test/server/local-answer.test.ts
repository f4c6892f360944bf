import t from 'tap'
import { GatewayError } from '../../lib/core/errors.ts'
import type { Exchange } from '../../lib/core/exchange.ts'
import { errorReply } from '../../lib/protocols/http1/replies.ts'
import { refusal } from '../../lib/protocols/mmtp/response.ts'
import { localAnswer } from '../../lib/server/local-answer.ts'

/** As much of an exchange as a refusal needs. */
function refused(message: string | null): Exchange {
  return {
    localReply: null,
    refusal: { code: 'RATE_LIMITED', retryAfterMs: 1500, message },
    error: null,
    downstream: { errorReply: (error: GatewayError) => errorReply(error, false) },
  } as unknown as Exchange
}

t.test('a refusal with a message of its own shows that to the caller, without one the table’s', (t) => {
  const own = localAnswer(refused('come back tomorrow'))
  t.equal(own.body.toString(), 'RATE_LIMITED: come back tomorrow\n')
  t.equal(own.headers.get('retry-after'), '2')
  t.equal(localAnswer(refused(null)).body.toString(), 'RATE_LIMITED: the rate limit is reached\n')
  t.end()
})

t.test('the details of an error never reach the caller', (t) => {
  const error = new GatewayError('UPSTREAM_CONNECT_FAILED', '10.0.0.7:8080 refused')
  t.notMatch(errorReply(error, false).body.toString(), /10\.0\.0\.7/)
  t.notMatch(errorReply(error, true).headers.get('result-memo'), /10\.0\.0\.7/)
  t.end()
})

t.test('an operation and an Mmtp caller get the message percent-encoded, cut at 512 characters', (t) => {
  const error = new GatewayError('RATE_LIMITED')
  error.callerMessage = `später ${'\u{1f600}'.repeat(300)}`
  const memo = errorReply(error, true).headers.get('result-memo') ?? ''
  t.match(decodeURIComponent(memo), /^später /)
  t.equal(refusal('RATE_LIMITED', true, 0, error.callerMessage).headers.get('result-memo'), memo)
  t.end()
})
