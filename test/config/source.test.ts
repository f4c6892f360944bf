// Two packages read configurations: the fast one whatever it takes, the one that knows positions the rest. They must agree.
import { deepStrictEqual } from 'node:assert'
import fc from 'fast-check'
import t from 'tap'
import { parseDocument, stringify } from 'yaml'
import { Source } from '../../lib/config/source.ts'

/** Fails when `text` is given another value than the yaml package gives it. */
function compare(text: string): void {
  const { value, problems } = new Source(text).read()
  const document = parseDocument(text, { merge: true, strict: true })
  if (problems.length > 0 || document.errors.length > 0) return
  deepStrictEqual(value, document.toJS(), JSON.stringify(text))
}

t.test('gives what was written the value that the yaml package gives it', (t) => {
  const scalar = fc.oneof(
    fc.constantFrom(
      'a',
      'x y',
      '',
      'true',
      'null',
      '12',
      '-',
      'a: b',
      '#x',
      "it's",
      '"q"',
      ':80',
      '[::1]:80',
      '3s',
      '64KiB',
    ),
    fc.integer(),
    fc.boolean(),
    fc.constant(null),
    fc.string({ maxLength: 6 }),
  )
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { depthSize: 'small' },
      scalar,
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom('a', 'b', 'x-y', 'k 1', 'a.b'), tie('value'), { maxKeys: 3 }),
    ),
  }))
  fc.assert(
    fc.property(value, fc.boolean(), (value, isFlow) => {
      compare(stringify(value, { collectionStyle: isFlow ? 'flow' : 'block' }))
    }),
    { numRuns: Number(process.env.FUZZ_RUNS ?? 1000) },
  )
  t.end()
})

t.test('reads the forms that configurations use', (t) => {
  const texts = [
    'a: 1\nb:\n  c: [x, "y", \'z\']\n  d: { e: 3s, f: {} }\n',
    '# head\n\nlist:\n- a: 1\n  b: 2\n# between\n- c\n-\n  d: 4\nend:   # nothing\n',
    'list:\n  - { match: { path: /a, method: GET }, to: { cluster: out } } # note\n  - match: {}\n    to: {\n      cluster: out,\n    }\n',
    '---\n"quoted key": "with \\"escapes\\" \\u00e9"\naddress: 127.0.0.1:80\nany: ":80"\n',
    '{\n\t"json": [1, 2.5e3, true, null, {"deep": "\\n"}]\n}\n',
    'a: &x { b: 1 }\nc: *x\nd: { <<: *x, e: 2 }\n',
    'a: |\n  two\n  lines\nb: >\n  one\n  line\n',
    '',
  ]
  for (const text of texts) {
    const { value, problems } = new Source(text).read()
    t.same(problems, [], JSON.stringify(text))
    t.same(value, parseDocument(text, { merge: true }).toJS(), JSON.stringify(text))
  }
  t.end()
})

t.test('explains what neither package takes, with line and column', (t) => {
  const { problems } = new Source('a: 1\na: 2\n').read()
  t.equal(problems.length, 1)
  t.match(problems[0], { line: 2, column: 1, message: /unique/ })
  t.match(new Source('a: [1, 2').read().problems[0], { line: 1 })
  t.end()
})

t.test('a bomb of aliases is refused, not expanded', (t) => {
  let text = 'a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n'
  for (let i = 1; i < 10; i++)
    text += `a${i}: &a${i} [${Array(10)
      .fill(`*a${i - 1}`)
      .join(', ')}]\n`
  t.match(new Source(text).read().problems[0], { message: /aliases/ })
  t.end()
})
