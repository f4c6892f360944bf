import { execFileSync, spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { apiImport } from '../../lib/cli/api-import.ts'
import { shortType } from '../../lib/cli/api-yaml.ts'
import { parseJavap } from '../../lib/cli/javap.ts'
import type { ApiImportOptions } from '../../lib/cli/options.ts'
import { main } from '../../lib/cli/program.ts'
import type { TypeDescriptions } from '../../lib/core/route.ts'
import { typeProblems } from '../../lib/protocols/hessian/type-table.ts'

const SOURCE = `
package com.example.shop;
import java.util.*;
public interface OrderService<T extends Number> extends Base {
  int COUNT = 5;
  Order create(Order order, List<? extends Item> items, Map<String, long[]> counts) throws Exception;
  Order create(String id);
  <X extends Comparable<X>> X any(X x, T t, String... rest);
  void ping();
  default int plus(int a, int b) { return a + b; }
  static void helper() {}
  class Order extends Entity implements java.io.Serializable {
    private static final long serialVersionUID = 1;
    public String id; protected List<Item> items; transient int cached; boolean no;
    private Map<String, Set<Color>> colors; Order parent; byte[] data; Page<Item> page; Shape shape;
    class Inner { int x; }
  }
  class Page<E> { List<E> rows; E first; long total; }
  class Entity { Date created; }
  class Item { java.math.BigDecimal price; int[][] grid; Color color; }
  enum Color { RED, NO { void f() {} }; private int code; private static final Color DEFAULT = RED; static final String NAME = "x"; }
  interface Shape {}
  class Circle implements Shape { int radius; }
}
interface Base { String echo(String s); }
`
const PREFIX = 'com.example.shop.OrderService$'

/** What javap prints, by class; as a JDK 17 prints it. */
const LISTING = `Compiled from "OrderService.java"
public interface a.Service extends a.Base<a.Order> {
  public static final int COUNT;
  public abstract a.Order create(a.Order, java.util.List<? extends a.Item>) throws java.lang.Exception;
  public abstract <X extends java.lang.Comparable<X>> X any(X, java.lang.String...);
}
Compiled from "Order.java"
public final class a.Order extends a.Entity<java.lang.Long> implements java.io.Serializable, java.lang.Comparable<a.Order> {
  private static final long serialVersionUID;
  private final java.util.Map<java.lang.String, java.util.List<a.Item>> items;
  transient int cached;
  volatile a.Color color;
  final a.Outer this$0;
  public a.Order(a.Outer);
  public java.lang.String toString();
  static {};
}
class a.Entity<K extends java.io.Serializable & java.lang.Comparable<K>> {
  K key;
  K[] keys;
}
final class a.Color extends java.lang.Enum<a.Color> {
  public static final a.Color RED;
  public static final a.Color GREEN;
  private final int code;
  private static final a.Color DEFAULT;
  private static final a.Color[] $VALUES;
  public static a.Color[] values();
}
`

function memory() {
  return {
    text: '',
    write(text: string) {
      this.text += text
    },
  }
}

async function runImport(options: Partial<ApiImportOptions>, list?: Parameters<typeof apiImport>[3]) {
  const [output, errors] = [memory(), memory()]
  const all = { jar: import.meta.filename, service: 'a.Service', class: [], cluster: 'shop', ...options }
  const code = await apiImport(all, output, errors, list)
  return { code, out: output.text, err: errors.text }
}

t.test('a listing of javap is read', async (t) => {
  const [service, order, entity, color] = parseJavap(LISTING)
  t.same([service.name, service.kind, service.interfaces], ['a.Service', 'interface', ['a.Base<a.Order>']])
  t.same(service.methods, [
    { name: 'create', parameters: ['a.Order', 'java.util.List<? extends a.Item>'], result: 'a.Order' },
    {
      name: 'any',
      parameters: ['java.lang.Comparable<java.lang.Object>', 'java.lang.String...'],
      result: 'java.lang.Comparable<java.lang.Object>',
    },
  ])
  t.same([order.name, order.kind, order.superclass], ['a.Order', 'class', 'a.Entity<java.lang.Long>'])
  t.same(
    order.fields.map((field) => `${field.name}: ${field.type}`),
    ['items: java.util.Map<java.lang.String, java.util.List<a.Item>>', 'color: a.Color'],
  )
  t.same(
    entity.fields.map((field) => field.type),
    ['java.io.Serializable', 'java.io.Serializable[]'],
  )
  t.same([color.kind, color.superclass, color.constants, color.fields], ['enum', null, ['RED', 'GREEN'], []])
  t.same(parseJavap('Error: class not found: a.B\n'), [])
})

t.test('types are written in their short forms', async (t) => {
  t.equal(shortType('java.util.Map<java.lang.String, ? extends a.B[]>'), 'Map<String, a.B[]>')
  t.equal(shortType('a.Outer<java.lang.String>.Inner'), 'Object', 'what no expression can say')
})

t.test('classes that are needed are followed, and what is missing is named', async (t) => {
  const asked: string[][] = []
  const { code, out, err } = await runImport({}, async (_jar, names) => {
    asked.push([...names])
    return asked.length === 1 ? LISTING.slice(0, LISTING.indexOf('Compiled from "Order.java')) : LISTING
  })
  t.equal(code, 0)
  t.same(asked[0], ['a.Service'])
  t.same([...asked[1]].sort(), ['a.Base', 'a.Item', 'a.Order'])
  const { types } = parse(out) as { types: TypeDescriptions }
  t.same(Object.keys(types), ['a.Color', 'a.Entity', 'a.Order'])
  t.equal(types['a.Order'].extends, 'a.Entity')
  t.match(err, 'a.Item is not in the jar; it is left undescribed')
})

t.test('what cannot be imported is refused with what would be right', async (t) => {
  t.match(await runImport({ service: '-x' }), { code: 64, err: /"-x" is no name of a class/ })
  t.match(await runImport({ jar: '/nowhere/api.jar' }), {
    code: 64,
    err: /there is no file \/nowhere\/api\.jar/,
  })
  t.match(await runImport({ service: 'a.Gone' }, async () => ''), { code: 1, err: /a\.Gone is not in/ })
  const noJdk = () => Promise.reject(new Error('cannot run javap: install a JDK'))
  t.match(await runImport({}, noJdk), { code: 1, err: 'meshgate: cannot run javap: install a JDK\n' })
})

t.test('api import needs a jar and a service', async (t) => {
  let err = ''
  const code = await main(['api', 'import', '--jar', 'x.jar'], {
    out: () => {},
    err: (text) => (err += text),
  })
  t.equal(code, 64)
  t.match(err, /--service/)
})

const hasJdk = spawnSync('javac', ['-version']).status === 0 && spawnSync('javap', ['-version']).status === 0

t.test('a real jar becomes types and routes', { skip: hasJdk ? false : 'no JDK on the path' }, async (t) => {
  const folder = t.testdir({ 'OrderService.java': SOURCE })
  const out = join(folder, 'classes')
  mkdirSync(out)
  execFileSync('javac', ['-d', out, join(folder, 'OrderService.java')])
  const target = join(folder, 'api.yaml')
  writeFileSync(target, '')
  // A folder of classes serves as well as a jar, which only packs them.
  const { code, err } = await runImport(
    { jar: out, service: 'com.example.shop.OrderService', class: [`${PREFIX}Circle`], out: target },
    undefined,
  )
  t.equal(code, 0, err)
  t.match(err, `${PREFIX}Shape is an interface; name the classes that implement it with --class`)
  const { types, routes } = parse(readFileSync(target, 'utf8')) as { types: TypeDescriptions; routes: any[] }
  t.same(typeProblems(types), [])
  t.same(types[`${PREFIX}Color`], { enum: ['RED', 'NO'] })
  t.same(types[`${PREFIX}Circle`], { fields: { radius: 'int' } })
  t.same(types[`${PREFIX}Page`], { fields: { rows: 'List<Object>', first: 'Object', total: 'long' } })
  t.same(types[`${PREFIX}Order`], {
    extends: `${PREFIX}Entity`,
    fields: {
      id: 'String',
      items: `List<${PREFIX}Item>`,
      no: 'boolean',
      colors: `Map<String, Set<${PREFIX}Color>>`,
      parent: `${PREFIX}Order`,
      data: 'byte[]',
      page: `${PREFIX}Page<${PREFIX}Item>`,
      shape: `${PREFIX}Shape`,
    },
  })
  t.same(
    routes.map((route) => [route.match.operation, route.to.method, route.to.parameters]),
    [
      ['order.create', 'create', [`${PREFIX}Order`, `List<${PREFIX}Item>`, 'Map<String, long[]>']],
      ['order.create.2', 'create', ['String']],
      ['order.any', 'any', ['Comparable<Object>', 'Number', 'String[]']],
      ['order.ping', 'ping', []],
      ['order.plus', 'plus', ['int', 'int']],
      ['order.echo', 'echo', ['String']],
    ],
  )
})
