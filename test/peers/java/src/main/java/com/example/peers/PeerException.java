package com.example.peers;

/** The service's own checked exception. */
public class PeerException extends Exception {
  private static final long serialVersionUID = 1L;

  private final int code;
  private final String reason;

  public PeerException(int code, String message) {
    super(message);
    this.code = code;
    this.reason = "reason-" + code;
  }

  public int getCode() {
    return code;
  }

  public String getReason() {
    return reason;
  }
}
