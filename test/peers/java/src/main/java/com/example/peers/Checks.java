package com.example.peers;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.regex.Pattern;

/**
 * Named checks in order. Each tells whether all was as it must be, and what it saw in a form that is the same in every
 * run: two runs that saw the same had the same values, of the same classes, and the same errors.
 */
final class Checks {
  private static final Pattern VARIABLE =
      Pattern.compile("(\\d{1,3}(\\.\\d{1,3}){3}|localhost)?[:/]?\\b\\d{4,}\\b|[0-9a-f]{16,}");

  private final List<Check> checks = new ArrayList<>();

  /** What one check does: returns what it saw, throws when that is wrong. */
  interface Body {
    String run() throws Throwable;
  }

  /** A call whose result, or exception, is what a check sees. */
  interface Call {
    Object run() throws Throwable;
  }

  /** One check. */
  static final class Check {
    final String name;
    final Body body;

    Check(String name, Body body) {
      this.name = name;
      this.body = body;
    }
  }

  void add(String name, Body body) {
    checks.add(new Check(name, body));
  }

  /** {@code call} must give back a value equal to {@code sent}, whatever its classes. */
  void same(String name, Object sent, Call call) {
    add(name, () -> {
      String expected = Values.describe(sent);
      String answer = Values.describe(call.run());
      if (!expected.equals(answer)) {
        throw new AssertionError(difference(expected, answer));
      }
      return Values.digest(answer);
    });
  }

  /** {@code call} must end in an exception of a class whose name ends in {@code type}; `""` takes any ending. */
  void fails(String name, String type, Call call) {
    add(name, () -> {
      String outcome = outcome(call);
      if (!type.isEmpty() && !outcome.startsWith("threw " + type)) {
        throw new AssertionError("expected " + type + ", got " + outcome);
      }
      return outcome;
    });
  }

  private static String difference(String sent, String got) {
    int at = 0;
    while (at < Math.min(sent.length(), got.length()) && sent.charAt(at) == got.charAt(at)) {
      at++;
    }
    return "at " + at + ": sent " + around(sent, at) + ", got " + around(got, at);
  }

  private static String around(String text, int at) {
    return "…" + text.substring(Math.max(0, at - 30), Math.min(text.length(), at + 50)) + "…";
  }

  List<Check> all() {
    return checks;
  }

  /** A value, or the exception with its causes; without stacks, ports, ids and times. */
  static String outcome(Call call) {
    try {
      return Values.digest(Values.describe(call.run()));
    } catch (Throwable error) {
      return outcome(error);
    }
  }

  static String outcome(Throwable thrown) {
    StringBuilder text = new StringBuilder("threw");
    Throwable error = thrown;
    for (int depth = 0; error != null && depth < 4; depth++) {
      text.append(depth == 0 ? " " : " <- ").append(error.getClass().getSimpleName());
      if (error instanceof org.apache.dubbo.rpc.RpcException) {
        text.append(" code ").append(((org.apache.dubbo.rpc.RpcException) error).getCode());
      } else if (error.getClass().getName().startsWith("com.example") || error instanceof IllegalArgumentException) {
        text.append(" \"").append(firstLine(error)).append('"');
      }
      if (error instanceof PeerException) {
        PeerException own = (PeerException) error;
        text.append(" {").append(own.getCode()).append(", ").append(own.getReason()).append('}');
      }
      error = error.getCause() == error ? null : error.getCause();
    }
    return text.toString();
  }

  /** The messages of an exception and its causes, shortened, for people. */
  static String messages(Throwable thrown) {
    StringBuilder text = new StringBuilder();
    Throwable error = thrown;
    for (int depth = 0; error != null && depth < 4; depth++) {
      text.append(depth == 0 ? "" : " <- ").append(error.getClass().getName()).append(": ").append(firstLine(error));
      error = error.getCause() == error ? null : error.getCause();
    }
    return text.toString();
  }

  static String firstLine(Throwable error) {
    String line = Objects.toString(error.getMessage(), "").split("[\r\n]", 2)[0];
    String fixed = VARIABLE.matcher(line).replaceAll("#");
    return fixed.length() > 200 ? fixed.substring(0, 200) + "…" : fixed;
  }

  static String expect(boolean isTrue, String what) {
    if (!isTrue) {
      throw new AssertionError(what);
    }
    return what;
  }
}
