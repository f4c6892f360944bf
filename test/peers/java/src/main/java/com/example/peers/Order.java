package com.example.peers;

import java.io.Serializable;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** A bean with fields of most kinds. */
public class Order implements Serializable {
  private static final long serialVersionUID = 1L;

  private String id;
  private long userId;
  private BigDecimal amount;
  private Date created;
  private Color color;
  private List<Item> items;
  private Map<String, String> notes;
  private Item first;
  private Integer priority;
  private byte[] sign;
  private boolean paid;
  private double weight;

  /** An order with every field set; the first item is shared with the list. */
  public static Order sample() {
    Order order = new Order();
    order.id = "order-0001";
    order.userId = 9007199254740993L;
    order.amount = new BigDecimal("12345678901234567890.12");
    order.created = new Date(1700000000123L);
    order.color = Color.GREEN;
    order.items = new ArrayList<>();
    order.items.add(new Item("sku-1", 1, "9.90"));
    order.items.add(new Item("sku-2 \u4e2d\u6587 \ud83d\ude00", 300, null));
    order.notes = new LinkedHashMap<>();
    order.notes.put("channel", "web");
    order.notes.put("empty", "");
    order.notes.put("nothing", null);
    order.first = order.items.get(0);
    order.priority = 7;
    order.sign = new byte[] {0, 1, 2, -1};
    order.paid = true;
    order.weight = -1.25;
    return order;
  }

  public String getId() {
    return id;
  }

  public void setId(String id) {
    this.id = id;
  }

  public long getUserId() {
    return userId;
  }

  public void setUserId(long userId) {
    this.userId = userId;
  }

  public BigDecimal getAmount() {
    return amount;
  }

  public void setAmount(BigDecimal amount) {
    this.amount = amount;
  }

  public Date getCreated() {
    return created;
  }

  public void setCreated(Date created) {
    this.created = created;
  }

  public Color getColor() {
    return color;
  }

  public void setColor(Color color) {
    this.color = color;
  }

  public List<Item> getItems() {
    return items;
  }

  public void setItems(List<Item> items) {
    this.items = items;
  }

  public Map<String, String> getNotes() {
    return notes;
  }

  public void setNotes(Map<String, String> notes) {
    this.notes = notes;
  }

  public Item getFirst() {
    return first;
  }

  public void setFirst(Item first) {
    this.first = first;
  }

  public Integer getPriority() {
    return priority;
  }

  public void setPriority(Integer priority) {
    this.priority = priority;
  }

  public byte[] getSign() {
    return sign;
  }

  public void setSign(byte[] sign) {
    this.sign = sign;
  }

  public boolean isPaid() {
    return paid;
  }

  public void setPaid(boolean paid) {
    this.paid = paid;
  }

  public double getWeight() {
    return weight;
  }

  public void setWeight(double weight) {
    this.weight = weight;
  }
}
