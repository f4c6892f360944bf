import fc from 'fast-check'
import t from 'tap'
import {
  JsonError,
  JsonTape,
  MAX_DEPTH,
  MAX_VALUES,
  Tag,
} from '../../../lib/protocols/hessian/json-scanner.ts'
import { digitsOf, pathOf, textOf } from '../../../lib/protocols/hessian/json-tokens.ts'

const tape = new JsonTape()

function scan(text: string | Buffer): JsonTape {
  const bytes = Buffer.from(text)
  tape.scan(bytes, 0, bytes.length)
  return tape
}

function refusal(text: string | Buffer): string {
  try {
    scan(text)
    return 'accepted'
  } catch (error) {
    if (error instanceof JsonError) return error.message
    throw error
  }
}

/** What the tape holds, as JavaScript values. */
function valueAt(node: number): unknown {
  const tag = tape.tag(node)
  if (tag === Tag.Null) return null
  if (tag === Tag.True || tag === Tag.False) return tag === Tag.True
  if (tag === Tag.Integer || tag === Tag.Decimal) return Number(digitsOf(tape, node))
  if (tag < Tag.Array) return textOf(tape, node)
  const items: unknown[] = []
  const members: [string, unknown][] = []
  let child = tape.child(node)
  for (let i = 0; i < tape.count(node); i++) {
    if (tag === Tag.Array) {
      items.push(valueAt(child))
    } else {
      const key = child
      child = tape.next(key)
      members.push([textOf(tape, key), valueAt(child)])
    }
    child = tape.next(child)
  }
  if (child !== tape.next(node)) throw new Error('the children do not fill the container')
  return tag === Tag.Array ? items : Object.fromEntries(members)
}

t.test('any JSON is read as JSON.parse reads it', async (t) => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 6 }), fc.constantFrom(undefined, 1, '\t'), (json, space) => {
      const text = JSON.stringify(JSON.parse(json), null, space)
      scan(text)
      if (JSON.stringify(valueAt(0)) !== JSON.stringify(JSON.parse(text))) throw new Error(text)
    }),
    { numRuns: 2_000 },
  )
  t.pass()
})

t.test('changed JSON is accepted exactly when JSON.parse accepts it', async (t) => {
  const sample = ' {"a":[1,-2.5e+3,0,"x\\u00e9\\n",true],"b":{"c":null,"d":false},"":[]} '
  fc.assert(
    fc.property(
      fc.nat(sample.length),
      fc.nat(3),
      fc.string({
        maxLength: 2,
        unit: fc.constantFrom(...'{}[]",:0123.eE+-tfnu\\ /b\u0000\u001f\u00a0\ufeff\n'),
      }),
      (at, cut, added) => {
        const text = sample.slice(0, at) + added + sample.slice(at + cut)
        let isJson = true
        try {
          JSON.parse(text)
        } catch {
          isJson = false
        }
        if ((refusal(text) === 'accepted') !== isJson) throw new Error(`${text}: ${refusal(text)}`)
      },
    ),
    { numRuns: 20_000 },
  )
  t.pass()
})

t.test('what is wrong is said with the byte where it is', async (t) => {
  const cases: [text: string | Buffer, message: string][] = [
    ['[1,]', 'byte 3: expected a value, got "]"'],
    ['{"a":1,}', 'byte 7: expected a key in double quotes, got "}"'],
    ['{"a" 1}', 'byte 5: expected ":", got "1"'],
    ['[1 2]', 'byte 3: expected "," or "]", got "2"'],
    ['[1', 'the text ends where "," or "]" is expected'],
    ['01', 'byte 0: a number begins with no 0 before other digits'],
    ['1.', 'the text ends where a digit is expected'],
    ['"a\nb"', 'byte 2: a control character has to be escaped'],
    ['"a', 'byte 2: a text has no end'],
    ['"\\x"', 'byte 1: there is no such escape'],
    ['"\\u12g4"', 'byte 1: \\u takes four hexadecimal digits'],
    ['1 1', 'byte 2: expected the end, got "1"'],
    ['nul', 'byte 0: expected a value, got "n"'],
    ['\ufeff1', 'byte 0: expected a value, got 0xef'],
    [Buffer.from([0x22, 0xff, 0x22]), 'the text is not UTF-8'],
    [Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), 'the text is not UTF-8'],
  ]
  for (const [text, message] of cases) t.equal(refusal(text), message, String(text))
})

t.test('nesting and size are bounded', async (t) => {
  t.equal(refusal('['.repeat(MAX_DEPTH) + ']'.repeat(MAX_DEPTH)), 'accepted')
  t.match(refusal('['.repeat(MAX_DEPTH + 1)), `nested deeper than ${MAX_DEPTH}`)
  t.match(refusal('{"a":'.repeat(1_000_000)), 'nested deeper')
  t.equal(refusal(`[${'0,'.repeat(MAX_VALUES - 2)}0]`), 'accepted')
  t.match(refusal(`[${'0,'.repeat(MAX_VALUES)}0]`), 'more than 100000 values')
  tape.release()
  t.equal(refusal('[1]'), 'accepted', 'a released tape serves on')
})

t.test('a node has a path', async (t) => {
  scan('{"a":[{"b c":1},[2,{"d":"x"}]]}')
  const find = (node: number, wanted: string): number => {
    for (let at = node; at < tape.next(0); at += tape.child(0))
      if (tape.tag(at) < Tag.Array && tape.tag(at) >= Tag.Integer && valueAt(at) === wanted) return at
    return -1
  }
  t.equal(pathOf(tape, 0), '$')
  t.equal(pathOf(tape, find(0, 'x')), '$.a[1][1].d')
  t.equal(pathOf(tape, find(0, 'd')), '$.a[1][1].d')
  t.equal(pathOf(tape, find(0, 'b c')), '$.a[0]["b c"]')
})
