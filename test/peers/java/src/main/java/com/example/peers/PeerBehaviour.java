package com.example.peers;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.zip.CRC32;

/** The service without what differs between the frameworks. */
public abstract class PeerBehaviour implements PeerService {
  private final Map<String, Integer> published = new ConcurrentHashMap<>();

  @Override
  public String text(String value) {
    return value;
  }

  @Override
  public int anInt(int value) {
    return value;
  }

  @Override
  public long aLong(long value) {
    return value;
  }

  @Override
  public short aShort(short value) {
    return value;
  }

  @Override
  public byte aByte(byte value) {
    return value;
  }

  @Override
  public double aDouble(double value) {
    return value;
  }

  @Override
  public float aFloat(float value) {
    return value;
  }

  @Override
  public char aChar(char value) {
    return value;
  }

  @Override
  public boolean aBoolean(boolean value) {
    return value;
  }

  @Override
  public String small(short aShort, byte aByte, float aFloat, char aChar) {
    return aShort + " " + aByte + " " + aFloat + " " + aChar;
  }

  @Override
  public Long longBox(Long value) {
    return value;
  }

  @Override
  public Integer intBox(Integer value) {
    return value;
  }

  @Override
  public Numbers numbers(Numbers value) {
    return value;
  }

  @Override
  public BigDecimal decimal(BigDecimal value) {
    return value;
  }

  @Override
  public BigInteger whole(BigInteger value) {
    return value;
  }

  @Override
  public Date date(Date value) {
    return value;
  }

  @Override
  public Color color(Color value) {
    return value;
  }

  @Override
  public Item item(Item value) {
    return value;
  }

  @Override
  public GiftItem gift(GiftItem value) {
    return value;
  }

  @Override
  public Order order(Order value) {
    return value;
  }

  @Override
  public Tree tree(Tree value) {
    return value;
  }

  @Override
  public Ring ring(Ring value) {
    return value;
  }

  @Override
  public Ring circle() {
    Ring ring = new Ring("first");
    ring.setNext(new Ring("second"));
    ring.getNext().setNext(ring);
    return ring;
  }

  @Override
  public Box<Order> box(Box<Order> value) {
    return value;
  }

  @Override
  public List<Item> items(List<Item> value) {
    return value;
  }

  @Override
  public List<String> texts(List<String> value) {
    return value;
  }

  @Override
  public Set<String> names(Set<String> value) {
    return value;
  }

  @Override
  public Map<Integer, Item> byNumber(Map<Integer, Item> value) {
    return value;
  }

  @Override
  public Map<Color, List<Long>> byColor(Map<Color, List<Long>> value) {
    return value;
  }

  @Override
  public int[] ints(int[] value) {
    return value;
  }

  @Override
  public long[][] matrix(long[][] value) {
    return value;
  }

  @Override
  public String[] strings(String[] value) {
    return value;
  }

  @Override
  public byte[] bytes(byte[] value) {
    return value;
  }

  @Override
  public Item[] itemArray(Item[] value) {
    return value;
  }

  @Override
  public Object anything(Object value) {
    return value;
  }

  @Override
  public String describe(
      Order order, List<Item> items, Map<Integer, Item> byNumber, Set<Color> colors, long[] longs) {
    return Values.describe(new Object[] {order, items, byNumber, colors, longs});
  }

  @Override
  public String describeAny(Object value) {
    return Values.describe(value);
  }

  @Override
  public void nothing() {}

  @Override
  public String over(int value) {
    return "int:" + value;
  }

  @Override
  public String over(long value) {
    return "long:" + value;
  }

  @Override
  public String over(String value) {
    return "String:" + value;
  }

  @Override
  public String over(List<String> value) {
    return "List:" + value;
  }

  @Override
  public String over(String value, int more) {
    return "String,int:" + value + "," + more;
  }

  @Override
  public String fail(String kind) throws PeerException {
    switch (kind) {
      case "own":
        throw new PeerException(4001, "own failure \u4e2d\u6587");
      case "stubborn":
        throw new StubbornException("stubborn failure");
      case "cause":
        throw new IllegalStateException("outer failure", new PeerException(4002, "inner failure"));
      default:
        throw new IllegalArgumentException("runtime failure");
    }
  }

  @Override
  public String slow(long delayMs) {
    try {
      Thread.sleep(delayMs);
    } catch (InterruptedException error) {
      Thread.currentThread().interrupt();
    }
    return "slept " + delayMs;
  }

  @Override
  public void publish(String key) {
    published.merge(key, 1, Integer::sum);
  }

  @Override
  public int published(String key) {
    return published.getOrDefault(key, 0);
  }

  @Override
  public long checksum(byte[] bytes) {
    CRC32 crc = new CRC32();
    crc.update(bytes);
    return crc.getValue();
  }

  @Override
  public byte[] blob(int length) {
    return Values.blob(length);
  }
}
