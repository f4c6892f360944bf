package com.example.peers;

/** An item with a superclass. */
public class GiftItem extends Item {
  private static final long serialVersionUID = 1L;

  private String card;

  public GiftItem() {}

  public GiftItem(String sku, int count, String price, String card) {
    super(sku, count, price);
    this.card = card;
  }

  public String getCard() {
    return card;
  }

  public void setCard(String card) {
    this.card = card;
  }
}
