package com.example.peers;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Date;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/** The checks that are the same for every framework: values of every kind, errors, sizes, numbers of calls. */
final class CommonChecks {
  private static final int[] LENGTHS = {0, 1, 31, 32, 255, 256, 1023, 1024, 32767, 32768, 65600};
  private static final String[] PLANES = {"ascii", "latin", "cjk", "astral"};
  private static final int[] INTS = {
    0, 1, -1, -16, -17, 47, 48, 255, 256, -2048, -2049, 2047, 2048, -262144, -262145, 262143, 262144, Short.MIN_VALUE,
    Short.MAX_VALUE, Integer.MIN_VALUE, Integer.MAX_VALUE
  };
  private static final long[] LONGS = {
    0, -8, -9, 15, 16, -2048, -2049, 2047, 2048, -262144, -262145, 262143, 262144, Integer.MIN_VALUE, Integer.MAX_VALUE,
    1L + Integer.MAX_VALUE, -1L + Integer.MIN_VALUE, 1L << 53, (1L << 53) + 1, -(1L << 53) - 1, Long.MIN_VALUE,
    Long.MAX_VALUE
  };
  private static final double[] DOUBLES = {
    0, -0.0, 1, -128, 127, 128, 32767, 32768, 0.001, 3.14, 1e300, Double.MIN_VALUE, Double.MAX_VALUE, Float.MAX_VALUE,
    Double.POSITIVE_INFINITY, Double.NaN
  };
  private static final int MEBIBYTE = 1 << 20;
  private static final int MANY = 500;

  private CommonChecks() {}

  static void add(Checks checks, PeerClient client) {
    PeerService service = client.service();
    addTexts(checks, service);
    addNumbers(checks, service);
    addObjects(checks, service);
    addCollections(checks, service);
    addArrays(checks, service);
    addCalls(checks, service);
    addSizes(checks, client);
  }

  private static void addTexts(Checks checks, PeerService service) {
    for (String plane : PLANES) {
      for (int length : LENGTHS) {
        String text = Values.text(plane, length);
        checks.same("text of " + length + ", " + plane, text, () -> service.text(text));
      }
    }
    String odd = "nul \0, del \u007f, \u0080, bom \ufeff, \u2028, \uffff, quotes '\"\\";
    checks.same("text with odd characters", odd, () -> service.text(odd));
    checks.same("text null", null, () -> service.text(null));
  }

  private static void addNumbers(Checks checks, PeerService service) {
    for (int value : INTS) {
      checks.same("int " + value, value, () -> service.anInt(value));
    }
    for (long value : LONGS) {
      checks.same("long " + value, value, () -> service.aLong(value));
    }
    for (double value : DOUBLES) {
      checks.same("double " + value, value, () -> service.aDouble(value));
    }
    for (short value : new short[] {Short.MIN_VALUE, -1, 0, Short.MAX_VALUE}) {
      checks.same("short " + value, value, () -> service.aShort(value));
    }
    for (byte value : new byte[] {Byte.MIN_VALUE, -1, 0, Byte.MAX_VALUE}) {
      checks.same("byte " + value, value, () -> service.aByte(value));
    }
    for (float value : new float[] {0, 1.5f, 0.1f, Float.MIN_VALUE, -Float.MAX_VALUE}) {
      checks.same("float " + value, value, () -> service.aFloat(value));
    }
    for (char value : new char[] {'a', ' ', '\u4e2d', '\u00e9'}) {
      checks.same("char " + (int) value, value, () -> service.aChar(value));
    }
    checks.same("small numbers", "-2 -1 1.5 \u4e2d", () -> service.small((short) -2, (byte) -1, 1.5f, '\u4e2d'));
    checks.same("boolean true", true, () -> service.aBoolean(true));
    checks.same("boolean false", false, () -> service.aBoolean(false));
    checks.same("Long null", null, () -> service.longBox(null));
    checks.same("Integer null", null, () -> service.intBox(null));
    for (String value : new String[] {"0", "-1.50", "12345678901234567890.123456789", "1E+400"}) {
      checks.same("BigDecimal " + value, new BigDecimal(value), () -> service.decimal(new BigDecimal(value)));
    }
    for (String value : new String[] {"0", "-1", "123456789012345678901234567890"}) {
      checks.same("BigInteger " + value, new BigInteger(value), () -> service.whole(new BigInteger(value)));
    }
    for (int sign = -1; sign <= 1; sign++) {
      Numbers numbers = Numbers.at(sign);
      checks.same("numbers in a bean, sign " + sign, numbers, () -> service.numbers(numbers));
    }
  }

  private static void addObjects(Checks checks, PeerService service) {
    for (long ms : new long[] {0, -1, 1700000000123L, 60_000L * 28_333_333, 253402300799999L}) {
      checks.same("date " + ms, new Date(ms), () -> service.date(new Date(ms)));
    }
    checks.same("date null", null, () -> service.date(null));
    for (Color color : Color.values()) {
      checks.same("enum " + color, color, () -> service.color(color));
    }
    checks.same("bean", Order.sample(), () -> service.order(Order.sample()));
    checks.same("bean with nothing set", new Order(), () -> service.order(new Order()));
    checks.same("bean null", null, () -> service.order(null));
    Item gift = new GiftItem("sku-3", 2, "0.01", "to you");
    checks.same("bean of a subclass", gift, () -> service.item(gift));
    GiftItem present = new GiftItem("sku-4", 3, null, "to me");
    checks.same("bean with a superclass", present, () -> service.gift(present));
    checks.same("tree, 5 levels", Tree.grow("t", 5, 3), () -> service.tree(Tree.grow("t", 5, 3)));
    checks.same("tree, 60 levels", Tree.grow("t", 60, 1), () -> service.tree(Tree.grow("t", 60, 1)));
    checks.add("ring", () -> {
      Ring first = new Ring("first");
      first.setNext(new Ring("second"));
      first.getNext().setNext(first);
      Ring answer = service.ring(first);
      return Checks.expect(answer.getNext().getNext() == answer, "the ring is closed");
    });
    Box<Order> box = new Box<>("generic", Order.sample());
    checks.same("generic bean", box, () -> service.box(box));
    checks.same("Object: text", "any", () -> service.anything("any"));
    checks.same("Object: long", 1L << 40, () -> service.anything(1L << 40));
    checks.same("Object: bean", Order.sample(), () -> service.anything(Order.sample()));
  }

  private static void addCollections(Checks checks, PeerService service) {
    for (int size : new int[] {0, 1, 7, 8, 300}) {
      List<Item> items = new ArrayList<>();
      for (int i = 0; i < size; i++) {
        items.add(new Item("sku-" + i, i, i + ".5"));
      }
      checks.same("list of " + size + " beans", items, () -> service.items(items));
    }
    List<String> texts = new ArrayList<>(Arrays.asList("a", null, "", "a"));
    checks.same("list with nulls", texts, () -> service.texts(texts));
    checks.add("a list twice in a bean stays one", () -> {
      Order order = service.order(Order.sample());
      return Checks.expect(order.getFirst() == order.getItems().get(0), "shared");
    });
    Set<String> names = new HashSet<>(Arrays.asList("x", "y", "\u4e2d"));
    checks.same("set", names, () -> service.names(names));
    Map<Integer, Item> byNumber = new HashMap<>();
    byNumber.put(1, new Item("one", 1, "1"));
    byNumber.put(-70000, new Item("minus", 2, null));
    checks.same("map with int keys", byNumber, () -> service.byNumber(byNumber));
    Map<Color, List<Long>> byColor = new HashMap<>();
    byColor.put(Color.RED, new ArrayList<>(Arrays.asList(1L, Long.MAX_VALUE)));
    byColor.put(Color.BLUE, new ArrayList<>());
    checks.same("map with enum keys", byColor, () -> service.byColor(byColor));
    Map<Object, Object> mixed = new LinkedHashMap<>();
    mixed.put("date", new Date(5));
    mixed.put("list", new ArrayList<>(Arrays.asList(1, 2L, 2.5, "three", true, null)));
    mixed.put(5L, new HashMap<>(Collections.singletonMap("deep", Color.GREEN)));
    checks.add("Object: map of anything", () -> Checks.outcome(() -> service.anything(mixed)));
    checks.add("Object: sorted map", () ->
        Checks.outcome(() -> service.anything(new TreeMap<>(Collections.singletonMap("k", "v")))));
    checks.add("Object: immutable list", () -> Checks.outcome(() -> service.anything(List.of(1, 2))));
    checks.add("Object: set", () -> Checks.outcome(() -> service.anything(new HashSet<>(Arrays.asList(1, 2)))));
  }

  private static void addArrays(Checks checks, PeerService service) {
    int[] ints = {0, 47, 48, Integer.MIN_VALUE, Integer.MAX_VALUE};
    checks.same("int[]", ints, () -> service.ints(ints));
    checks.same("int[] empty", new int[0], () -> service.ints(new int[0]));
    long[][] matrix = {{1, 1L << 40}, {}, {Long.MIN_VALUE}};
    checks.same("long[][]", matrix, () -> service.matrix(matrix));
    String[] strings = {"a", null, "\u4e2d", Values.text("cjk", 33)};
    checks.same("String[]", strings, () -> service.strings(strings));
    Item[] items = {new Item("a", 1, "2"), null, new GiftItem("b", 2, null, "card")};
    checks.same("bean[]", items, () -> service.itemArray(items));
    for (int length : new int[] {0, 1, 15, 16, 1023, 1024, 4096, 32767, 32768, 70000}) {
      checks.same("byte[] of " + length, Values.blob(length), () -> service.bytes(Values.blob(length)));
    }
    checks.same("byte[] null", null, () -> service.bytes(null));
  }

  private static void addCalls(Checks checks, PeerService service) {
    checks.add("void", () -> {
      service.nothing();
      return "returned";
    });
    checks.same("overloaded, int", "int:5", () -> service.over(5));
    checks.same("overloaded, long", "long:5", () -> service.over(5L));
    checks.same("overloaded, String", "String:5", () -> service.over("5"));
    checks.same("overloaded, List", "List:[5]", () -> service.over(new ArrayList<>(Arrays.asList("5"))));
    checks.same("overloaded, two", "String,int:5,6", () -> service.over("5", 6));
    checks.add("several arguments", () -> Values.digest(service.describe(
        Order.sample(), new ArrayList<>(Order.sample().getItems()), new HashMap<>(),
        new HashSet<>(Arrays.asList(Color.RED)), new long[] {1})));
    checks.fails("own exception", "PeerException \"own failure \u4e2d\u6587\" {4001, reason-4001}",
        () -> service.fail("own"));
    checks.fails("runtime exception", "", () -> service.fail("runtime"));
    checks.fails("exception with a cause", "", () -> service.fail("cause"));
    checks.fails("exception that cannot be serialised", "", () -> service.fail("stubborn"));
    checks.same("a call behind the errors", "fine", () -> service.text("fine"));
  }

  private static void addSizes(Checks checks, PeerClient client) {
    PeerService service = client.service();
    checks.add("1 MiB there", () -> String.valueOf(service.checksum(Values.blob(MEBIBYTE))));
    checks.same("1 MiB back", Values.blob(MEBIBYTE), () -> service.blob(MEBIBYTE));
    checks.same("1 MiB of text", Values.text("cjk", MEBIBYTE / 3), () -> service.text(Values.text("cjk", MEBIBYTE / 3)));
    checks.add(MANY + " calls at once", () -> {
      List<CompletableFuture<Object>> calls = new ArrayList<>();
      for (int i = 0; i < MANY; i++) {
        calls.add(i % 10 == 0 ? client.slow(i % 7) : client.text("call " + i));
      }
      for (int i = 0; i < MANY; i++) {
        String expected = i % 10 == 0 ? "slept " + i % 7 : "call " + i;
        Object answer = calls.get(i).get(20, TimeUnit.SECONDS);
        if (!expected.equals(answer)) {
          throw new AssertionError("call " + i + " got " + answer);
        }
      }
      return "all answered";
    });
  }
}
