package com.example.peers;

/** An exception that cannot be serialised, because of what it holds. */
public class StubbornException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final Object held = new Held();

  public StubbornException(String message) {
    super(message);
  }

  /** No `Serializable`, no constructor that anybody could call. */
  private static final class Held {
    private final Thread thread = Thread.currentThread();

    private Held() {}

    @Override
    public String toString() {
      return thread.getName();
    }
  }

  @Override
  public String toString() {
    return super.toString() + held;
  }
}
