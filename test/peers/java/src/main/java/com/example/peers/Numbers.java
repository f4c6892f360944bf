package com.example.peers;

import java.io.Serializable;
import java.math.BigDecimal;
import java.math.BigInteger;

/** A field of every kind of number. Public fields keep it short; Hessian and reflection read fields anyway. */
public class Numbers implements Serializable {
  private static final long serialVersionUID = 1L;

  public byte aByte;
  public short aShort;
  public int anInt;
  public long aLong;
  public float aFloat;
  public double aDouble;
  public char aChar;
  public boolean aBoolean;
  public Byte byteBox;
  public Short shortBox;
  public Integer intBox;
  public Long longBox;
  public Float floatBox;
  public Double doubleBox;
  public Character charBox;
  public Boolean booleanBox;
  public BigInteger whole;
  public BigDecimal decimal;

  /** All at their least ({@code sign < 0}), at zero, or at their greatest. */
  public static Numbers at(int sign) {
    Numbers numbers = new Numbers();
    numbers.aByte = sign < 0 ? Byte.MIN_VALUE : sign == 0 ? 0 : Byte.MAX_VALUE;
    numbers.aShort = sign < 0 ? Short.MIN_VALUE : sign == 0 ? 0 : Short.MAX_VALUE;
    numbers.anInt = sign < 0 ? Integer.MIN_VALUE : sign == 0 ? 0 : Integer.MAX_VALUE;
    numbers.aLong = sign < 0 ? Long.MIN_VALUE : sign == 0 ? 0 : Long.MAX_VALUE;
    numbers.aFloat = sign < 0 ? -Float.MAX_VALUE : sign == 0 ? 0 : Float.MAX_VALUE;
    numbers.aDouble = sign < 0 ? -Double.MAX_VALUE : sign == 0 ? 0 : Double.MAX_VALUE;
    numbers.aChar = sign < 0 ? 'a' : sign == 0 ? '0' : '\u4e2d';
    numbers.aBoolean = sign > 0;
    if (sign == 0) {
      return numbers;
    }
    numbers.byteBox = numbers.aByte;
    numbers.shortBox = numbers.aShort;
    numbers.intBox = numbers.anInt;
    numbers.longBox = numbers.aLong;
    numbers.floatBox = numbers.aFloat;
    numbers.doubleBox = numbers.aDouble;
    numbers.charBox = numbers.aChar;
    numbers.booleanBox = numbers.aBoolean;
    numbers.whole = new BigInteger("123456789012345678901234567890").multiply(BigInteger.valueOf(sign));
    numbers.decimal = new BigDecimal("12345678901234567890.123456789").multiply(BigDecimal.valueOf(sign));
    return numbers;
  }
}
