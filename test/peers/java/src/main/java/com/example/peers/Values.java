package com.example.peers;

import java.lang.reflect.Array;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.Collection;
import java.util.IdentityHashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.zip.CRC32;

/** Sample values, and values as text that shows every class, so that two can be compared. */
final class Values {
  private Values() {}

  static byte[] blob(int length) {
    byte[] bytes = new byte[length];
    for (int i = 0; i < length; i++) {
      bytes[i] = (byte) (i * 31 + 7);
    }
    return bytes;
  }

  /** {@code length} UTF-16 units of a plane: ascii, latin, cjk, or astral (pairs, plus one ascii when odd). */
  static String text(String plane, int length) {
    StringBuilder text = new StringBuilder(length);
    while (text.length() < length) {
      int i = text.length();
      switch (plane) {
        case "latin":
          text.append((char) (0xc0 + i % 64));
          break;
        case "cjk":
          text.append((char) (0x4e00 + i % 5000));
          break;
        case "astral":
          if (length - i == 1) {
            text.append('x');
          } else {
            text.appendCodePoint(0x1f600 + i / 2 % 80);
          }
          break;
        default:
          text.append((char) ('a' + i % 26));
      }
    }
    return text.toString();
  }

  /** Short text for a long one. */
  static String digest(String text) {
    if (text.length() <= 160) {
      return text;
    }
    CRC32 crc = new CRC32();
    for (int i = 0; i < text.length(); i++) {
      crc.update(text.charAt(i) >> 8);
      crc.update(text.charAt(i));
    }
    return text.substring(0, 60) + "… (" + text.length() + " chars, crc " + Long.toHexString(crc.getValue()) + ")";
  }

  /** The value with its classes; sets and maps in the order of their texts, references as `^depth`. */
  static String describe(Object value) {
    StringBuilder text = new StringBuilder();
    write(value, text, new IdentityHashMap<>());
    return text.toString();
  }

  private static void write(Object value, StringBuilder text, IdentityHashMap<Object, Integer> open) {
    if (value == null) {
      text.append("null");
      return;
    }
    Class<?> type = value.getClass();
    if (value instanceof String) {
      text.append('"').append(value).append('"');
      return;
    }
    if (value instanceof Enum) {
      text.append(type.getSimpleName()).append('.').append(((Enum<?>) value).name());
      return;
    }
    if (value instanceof java.util.Date) {
      text.append(type.getSimpleName()).append('(').append(((java.util.Date) value).getTime()).append(')');
      return;
    }
    if (type.getName().startsWith("java.") && !(value instanceof Collection) && !(value instanceof Map)) {
      text.append(type.getSimpleName()).append('(').append(value).append(')');
      return;
    }
    if (value instanceof byte[]) {
      CRC32 crc = new CRC32();
      crc.update((byte[]) value);
      text.append("byte[").append(((byte[]) value).length).append("] crc ").append(Long.toHexString(crc.getValue()));
      return;
    }
    Integer seen = open.putIfAbsent(value, open.size());
    if (seen != null) {
      text.append('^').append(seen);
      return;
    }
    writeParts(value, type, text, open);
    open.remove(value);
  }

  private static void writeParts(
      Object value, Class<?> type, StringBuilder text, IdentityHashMap<Object, Integer> open) {
    text.append(type.getSimpleName());
    if (type.isArray()) {
      text.append('{');
      for (int i = 0; i < Array.getLength(value); i++) {
        write(Array.get(value, i), text.append(i == 0 ? "" : ", "), open);
      }
      text.append('}');
    } else if (value instanceof Map) {
      Set<String> entries = new TreeSet<>();
      for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) {
        StringBuilder one = new StringBuilder();
        write(entry.getKey(), one, open);
        write(entry.getValue(), one.append(": "), open);
        entries.add(one.toString());
      }
      text.append(entries);
    } else if (value instanceof Collection) {
      Collection<String> entries = value instanceof Set ? new TreeSet<>() : new java.util.ArrayList<>();
      for (Object entry : (Collection<?>) value) {
        StringBuilder one = new StringBuilder();
        write(entry, one, open);
        entries.add(one.toString());
      }
      text.append(entries);
    } else {
      writeFields(value, type, text, open);
    }
  }

  private static void writeFields(
      Object value, Class<?> type, StringBuilder text, IdentityHashMap<Object, Integer> open) {
    text.append('(');
    String separator = "";
    for (Class<?> part = type; part != null && !part.getName().startsWith("java."); part = part.getSuperclass()) {
      for (Field field : part.getDeclaredFields()) {
        if (Modifier.isStatic(field.getModifiers())) {
          continue;
        }
        try {
          field.setAccessible(true);
          text.append(separator).append(field.getName()).append(' ');
          separator = ", ";
          write(field.get(value), text, open);
        } catch (ReflectiveOperationException error) {
          throw new IllegalStateException(error);
        }
      }
    }
    text.append(')');
  }
}
