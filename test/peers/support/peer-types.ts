/** The types of test/peers/java, as a configuration describes them. */

/** For `types:` of a configuration. */
export const PEER_TYPES = {
  'com.example.peers.Color': { enum: ['RED', 'GREEN', 'BLUE'] },
  'com.example.peers.Item': { fields: { sku: 'String', count: 'int', price: 'BigDecimal' } },
  'com.example.peers.GiftItem': { extends: 'com.example.peers.Item', fields: { card: 'String' } },
  'com.example.peers.Order': {
    fields: {
      id: 'String',
      userId: 'long',
      amount: 'BigDecimal',
      created: 'Date',
      color: 'com.example.peers.Color',
      items: 'List<com.example.peers.Item>',
      notes: 'Map<String, String>',
      first: 'com.example.peers.Item',
      priority: 'Integer',
      sign: 'byte[]',
      paid: 'boolean',
      weight: 'double',
    },
  },
  'com.example.peers.Tree': { fields: { name: 'String', children: 'List<com.example.peers.Tree>' } },
  'com.example.peers.Ring': { fields: { name: 'String', next: 'com.example.peers.Ring' } },
  'com.example.peers.Numbers': {
    fields: {
      aByte: 'byte',
      aShort: 'short',
      anInt: 'int',
      aLong: 'long',
      aFloat: 'float',
      aDouble: 'double',
      aChar: 'char',
      aBoolean: 'boolean',
      byteBox: 'Byte',
      shortBox: 'Short',
      intBox: 'Integer',
      longBox: 'Long',
      floatBox: 'Float',
      doubleBox: 'Double',
      charBox: 'Character',
      booleanBox: 'Boolean',
      whole: 'BigInteger',
      decimal: 'BigDecimal',
    },
  },
} as const
