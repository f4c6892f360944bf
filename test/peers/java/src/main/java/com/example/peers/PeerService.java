package com.example.peers;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** What the servers offer. Methods named after a type give back their argument. */
public interface PeerService {
  String text(String value);

  int anInt(int value);

  long aLong(long value);

  short aShort(short value);

  byte aByte(byte value);

  double aDouble(double value);

  float aFloat(float value);

  char aChar(char value);

  boolean aBoolean(boolean value);

  /** All that arrived, as text. SOFARPC cannot give such a value back: its client casts an Integer to a Short. */
  String small(short aShort, byte aByte, float aFloat, char aChar);

  Long longBox(Long value);

  Integer intBox(Integer value);

  Numbers numbers(Numbers value);

  BigDecimal decimal(BigDecimal value);

  BigInteger whole(BigInteger value);

  Date date(Date value);

  Color color(Color value);

  Item item(Item value);

  GiftItem gift(GiftItem value);

  Order order(Order value);

  Tree tree(Tree value);

  Ring ring(Ring value);

  /** A ring that is closed. */
  Ring circle();

  Box<Order> box(Box<Order> value);

  List<Item> items(List<Item> value);

  List<String> texts(List<String> value);

  Set<String> names(Set<String> value);

  Map<Integer, Item> byNumber(Map<Integer, Item> value);

  Map<Color, List<Long>> byColor(Map<Color, List<Long>> value);

  int[] ints(int[] value);

  long[][] matrix(long[][] value);

  String[] strings(String[] value);

  byte[] bytes(byte[] value);

  Item[] itemArray(Item[] value);

  Object anything(Object value);

  /** The Java classes and values of what arrived, as text. */
  String describe(Order order, List<Item> items, Map<Integer, Item> byNumber, Set<Color> colors, long[] longs);

  /** The same of one value. */
  String describeAny(Object value);

  void nothing();

  String over(int value);

  String over(long value);

  String over(String value);

  String over(List<String> value);

  String over(String value, int more);

  /** Throws what {@code kind} says: own, runtime, stubborn, or an error with a cause. */
  String fail(String kind) throws PeerException;

  /** Answers after {@code delayMs}. */
  String slow(long delayMs);

  /** Remembers {@code key}; called one-way. */
  void publish(String key);

  /** How often {@code key} was published. */
  int published(String key);

  /** The CRC-32 of the bytes. */
  long checksum(byte[] bytes);

  /** Bytes {@code (i * 31 + 7) mod 256}. */
  byte[] blob(int length);

  /** What came beside the arguments: attachments or baggage, of names that begin with "x-". Sends `x-answer` back. */
  Map<String, String> context();
}
