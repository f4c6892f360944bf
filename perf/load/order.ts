/** The service that measurements call, and the object of ten fields that it takes and returns. */
import { EMPTY_MARK } from './mark.ts'

/** Interface, and the two methods: `echo(String)` and `create(Order)`. */
export const SERVICE = 'com.example.gateway.OrderService'
export const ECHO_METHOD = 'echo'
export const CREATE_METHOD = 'create'
/** Class of the object. */
export const ORDER_CLASS = 'com.example.gateway.Order'

/** The object's fields with a value each: about 200 bytes of JSON. The first one bears the mark. */
export const ORDER_FIELDS = [
  { name: 'orderNo', type: 'java.lang.String', value: EMPTY_MARK },
  { name: 'userId', type: 'long', value: 2_088_102_146_225_135 },
  { name: 'sku', type: 'java.lang.String', value: 'sku-20-4711' },
  { name: 'quantity', type: 'int', value: 3 },
  { name: 'price', type: 'double', value: 129.95 },
  { name: 'gift', type: 'boolean', value: true },
  { name: 'city', type: 'java.lang.String', value: 'Hangzhou' },
  { name: 'street', type: 'java.lang.String', value: '18 Xixi Road, Building B' },
  { name: 'zip', type: 'int', value: 310_000 },
  { name: 'channel', type: 'java.lang.String', value: 'mobile' },
] as const

/** The object as JSON. */
export const ORDER_JSON = JSON.stringify(
  Object.fromEntries(ORDER_FIELDS.map(({ name, value }) => [name, value])),
)

/** A text of `length` characters that begins with a mark. */
export function markedText(length: number): string {
  return EMPTY_MARK.padEnd(length, 'q')
}
