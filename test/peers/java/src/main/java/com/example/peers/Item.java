package com.example.peers;

import java.io.Serializable;
import java.math.BigDecimal;

/** A small bean. */
public class Item implements Serializable {
  private static final long serialVersionUID = 1L;

  private String sku;
  private int count;
  private BigDecimal price;

  public Item() {}

  public Item(String sku, int count, String price) {
    this.sku = sku;
    this.count = count;
    this.price = price == null ? null : new BigDecimal(price);
  }

  public String getSku() {
    return sku;
  }

  public void setSku(String sku) {
    this.sku = sku;
  }

  public int getCount() {
    return count;
  }

  public void setCount(int count) {
    this.count = count;
  }

  public BigDecimal getPrice() {
    return price;
  }

  public void setPrice(BigDecimal price) {
    this.price = price;
  }
}
