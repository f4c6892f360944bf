package com.example.peers;

/** An enum with a field of its own. */
public enum Color {
  RED(0xff0000),
  GREEN(0x00ff00),
  BLUE(0x0000ff);

  private final int rgb;

  Color(int rgb) {
    this.rgb = rgb;
  }

  public int rgb() {
    return rgb;
  }
}
