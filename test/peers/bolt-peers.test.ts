/** Java SOFARPC clients and servers, with meshgate between them: what the client sees must not differ. */
import t from 'tap'
import { prepareJava } from './support/java.ts'
import { testPassThrough } from './support/pass-through.ts'

t.setTimeout(280_000)

const skip = await prepareJava()

t.test('SOFARPC over Bolt', skip === false ? {} : { skip }, (t) =>
  testPassThrough(t, {
    framework: 'sofa',
    protocol: 'bolt',
    variants: ['v1', 'v2', 'v2-plain'],
    // SOFARPC's client casts an Integer to a Short and so on; Hessian writes -0.0 as 0.
    known: /^(double -0\.0|(short|byte|float|char) -?[\d.E-]+)$/,
    errors: {
      timeout: /^2 × .*SofaTimeOutException/,
      busy: /1 × .*InvokeServerBusyException/,
      broken: /ConnectionClosedException/,
      unreachable: /^2 × .*NO_PROCESSOR/,
      noRoute: /^2 × .*NO_PROCESSOR/,
    },
  }),
)
