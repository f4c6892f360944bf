/** Java Dubbo clients and servers, with meshgate between them: what the client sees must not differ. */
import t from 'tap'
import { prepareJava } from './support/java.ts'
import { testPassThrough } from './support/pass-through.ts'

t.setTimeout(280_000)

const skip = await prepareJava()

t.test('Dubbo', skip === false ? {} : { skip }, (t) =>
  testPassThrough(t, {
    framework: 'dubbo',
    protocol: 'dubbo',
    variants: ['hessian2', 'fastjson2'],
    // Both write -0.0 as 0. Hessian loses floats and chars of public fields, fastjson2 the class of nested lists.
    known: /^(double -0\.0|numbers in a bean, .*|map with enum keys)$/,
    errors: {
      timeout: /^2 × .*TimeoutException/,
      busy: /1 × .*RemotingException: .*rate limit/,
      broken: /RemotingException: .*closed the connection/,
      unreachable: /^2 × .*RemotingException: .*cannot be reached/,
      noRoute: /^2 × .*RemotingException: .*no route/,
    },
  }),
)
